#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks the library in one place at a time, and expects a test to notice.

Each mutation takes one promise back: a rule of check, the sending again of a
refused prefix, the smaller calls after ENOMEM, the second round for the erratum,
and so on. It is applied to a copy of the tree, which is built and tested with
the tests named for it. A mutation that no test notices is an error, and so is
one that no longer applies or does not compile.
"""
import argparse
import concurrent.futures
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile

PLAN, GRANULE, STATE = "lib/plan.c", "lib/granule.c", "lib/state.c"
COUNTED = "lib/batch.c"
PLANNED = ["plan", "windows"]
OWNERS = ["viommu"]
SMMUS = ["viommu"]
COMMON = ["features"]
STATES = ["stream", "addressed"]
STE = ["cfgi_ste"]
RANKS = ["ranks"]
COUNTS = ["counters"]

# What is promised, the file, the text to replace, its replacement, the tests.
MUTATIONS = [
    ("the accepted prefix is sent again", "lib/execute.c",
     "e->limit = e->done + accepted(rc, asked, count);",
     "e->done += accepted(rc, asked, count); e->limit = e->done;",
     ["batch", "faults"]),
    ("only a refusal leaves a count to believe", "lib/execute.c",
     "return error == -EIO && count < asked ? count : 0;",
     "return count < asked ? count : 0;", ["batch"]),
    ("an impossible count is nothing done", "lib/execute.c",
     "return error == -EIO && count < asked ? count : 0;",
     "return error == -EIO ? count : 0;", ["batch"]),
    ("ENOMEM is retried in smaller calls", "lib/execute.c",
     "if (rc == -ENOMEM && asked > 1) {", "if (rc == -ENOMEM && asked > 999) {",
     ["batch"]),
    ("ENOMEM for one command ends the retries", "lib/execute.c",
     "if (rc == -ENOMEM && asked > 1) {", "if (rc == -ENOMEM && asked > 2) {",
     ["batch"]),
    ("success for another count is not believed", "lib/execute.c",
     "if (!rc && *count != asked)", "if (!rc && *count > asked)", ["batch"]),
    ("the erratum is executed twice", "lib/execute.c",
     "if (!x->viommu->repeat)", "if (x->viommu->repeat)", ["batch"]),
    ("the erratum's second round can fail", "lib/execute.c",
     "if (second.done == twice.count)", "if (second.done || 1)", ["batch"]),
    ("the erratum does not concern ATC_INV", "lib/execute.c",
     "SMMUINV_CMD_ATC_INV)\n\t\t\tcontinue;",
     "SMMUINV_CMD_ATC_INV)\n\t\t\t;", ["batch"]),
    ("which vIOMMU failed is told", "lib/execute.c",
     "\toutcome->fault_viommu = x->viommu->id;\n", "", ["viommu"]),
    ("a device that is gone is told apart", "lib/execute.c",
     "\toutcome->error = -ENODEV;\n", "\toutcome->error = -EIO;\n", ["batch"]),
    ("a vSID without a device is not sent", "lib/batch.c",
     "\tif (!stream)\n\t\treturn SMMUINV_RULE_STREAM_UNKNOWN;\n",
     "\tif (!stream)\n\t\treturn SMMUINV_RULE_NONE;\n", ["batch"]),
    ("a timeout after ATC_INV is the guest's to see", "lib/execute.c",
     "e->atc_timed_out = rc == -ETIMEDOUT && has_atc_inv(commands, asked);",
     "e->atc_timed_out = false;", ["batch", "queue"]),
    ("a timeout without ATC_INV is not", "lib/execute.c",
     "e->atc_timed_out = rc == -ETIMEDOUT && has_atc_inv(commands, asked);",
     "e->atc_timed_out = rc == -ETIMEDOUT;", ["batch"]),
    ("EINTR is repeated", "lib/backend.c",
     "return rc == -EINTR || rc == -EAGAIN;", "return rc == -EAGAIN;",
     ["backend"]),
    ("EAGAIN is repeated", "lib/backend.c",
     "return rc == -EINTR || rc == -EAGAIN;", "return rc == -EINTR;",
     ["backend"]),
    ("a repeated call starts with its own count", "lib/backend.c",
     "\t\t*count = asked;\n", "", ["backend"]),
    ("a backend sets nothing reserved", "lib/backend.c",
     "\tif (!PARAMS_RESERVED_IS_ZERO(&i))\n\t\treturn -EPROTO;\n", "",
     ["backend"]),
    ("nor does a caller", "lib/params.h",
     "&& PARAMS_RESERVED_IS_ZERO(to))", "&& 1)",
     ["command"]),
    ("what an ATC timeout leaves is kept", "lib/queue.c",
     "\tq->carried = upto;\n", "\tq->carried = 0;\n", ["queue"]),
    ("what is not complete is read again", "lib/queue.c",
     "rc = settle(run, first + outcome.completed);",
     "rc = settle(run, smmuinv_batch_count(q->batch));", ["queue"]),
    ("a SYNC waits for what is before it", "lib/queue.c",
     "run->signaled < count && sync->at <= upto;",
     "run->signaled < count && sync->at <= upto + 1;", ["queue"]),
    ("a VMM's command waits for what is before it", "lib/queue.c",
     "\trc = flush(run);\n\tif (rc)\n\t\treturn rc;\n\trc = call_vmm(",
     "\trc = 0;\n\tif (rc)\n\t\treturn rc;\n\trc = call_vmm(", ["queue"]),
    ("an illegal command waits for what is before it", "lib/queue.c",
     "SMMUINV_CERROR_ILL, rule, field);", "SMMUINV_CERROR_ABT, rule, field);",
     ["queue"]),
    ("pointers that contradict each other are refused", "lib/queue.c",
     "if (produced > 1u << ring->log2size)",
     "if (produced > 2u << ring->log2size)", ["queue"]),
    ("a vDEVICE outlives the commands that name it", "lib/stream.c",
     "\tpthread_rwlock_rdlock(&streams->table);",
     "\tif (0)\n\t\tpthread_rwlock_rdlock(&streams->table);", ["stream"]),
    ("one device has one vSID", "lib/stream.c",
     "\t\treturn -EBUSY;", "\t\treturn 0;", ["stream"]),
    # The rules of check, one by one.
    ("prefetches need nothing", "lib/check.c",
     "*rule = SMMUINV_RULE_PREFETCH;\n\treturn SMMUINV_IGNORE;",
     "*rule = SMMUINV_RULE_PREFETCH;\n\treturn SMMUINV_VMM;", ["check"]),
    ("what the VMM has no callback for is illegal", "lib/queue.c",
     "return q->ops.command != NULL;", "return true;", ["queue"]),
    ("SSec", "lib/check.c", "if (j->dw0 & row->ssec)",
     "if (j->dw0 & row->ssec & 1)", ["check"]),
    ("stage 1", "lib/check.c",
     "return has(f, SMMUINV_FEATURE_S1P) ? SMMUINV_RULE_NONE",
     "return 1 ? SMMUINV_RULE_NONE", ["check"]),
    ("EL2", "lib/check.c",
     "return has(f, SMMUINV_FEATURE_HYP) ? SMMUINV_RULE_NONE",
     "return 1 ? SMMUINV_RULE_NONE", ["check"]),
    ("stage 2", "lib/check.c",
     "return has(f, SMMUINV_FEATURE_S2P) ? SMMUINV_RULE_NONE",
     "return 1 ? SMMUINV_RULE_NONE", ["check"]),
    ("ATS", "lib/check.c",
     "return has(f, SMMUINV_FEATURE_ATS) ? SMMUINV_RULE_NONE",
     "return 1 ? SMMUINV_RULE_NONE", ["check"]),
    ("PRI", "lib/check.c",
     "return has(f, SMMUINV_FEATURE_PRI) ? SMMUINV_RULE_NONE",
     "return 1 ? SMMUINV_RULE_NONE", ["check"]),
    ("stalls", "lib/check.c",
     "smmuinv_features_get(f, SMMUINV_FEATURE_STALL_MODEL) != 1;",
     "smmuinv_features_get(f, SMMUINV_FEATURE_STALL_MODEL) != 9;", ["check"]),
    ("MPAM", "lib/check.c",
     "return has(f, SMMUINV_FEATURE_MPAM) ? SMMUINV_RULE_NONE",
     "return 1 ? SMMUINV_RULE_NONE", ["check"]),
    ("DPT", "lib/check.c",
     "return has(f, SMMUINV_FEATURE_DPT) ? SMMUINV_RULE_NONE",
     "return 1 ? SMMUINV_RULE_NONE", ["check"]),
    ("secure opcodes", "lib/check.c", "return SMMUINV_RULE_SECURE_OPCODE;",
     "return SMMUINV_RULE_NONE;", ["check"]),
    ("reserved opcodes", "lib/check.c", "return SMMUINV_RULE_RESERVED_OPCODE;",
     "return SMMUINV_RULE_NONE;", ["check"]),
    ("a TG that nothing uses", "lib/check.c",
     "if (!(j->dw0 & DW0_RIL) && !ttl)", "if (!j->dw0 && !ttl)", ["check"]),
    ("16K level 1 without DS", "lib/check.c", "if (!table->guest_ds)",
     "if (!table->guest_ds && 0)", ["check"]),
    ("RES0 without granule", "lib/check.c",
     "\t\tj->dw0 &= ~DW0_RIL;\n\t\tj->dw1 &= ~(DW1_TTL | DW1_TTL128);", "",
     ["check"]),
    ("SCALE above 39", "lib/check.c", "if (scale > SCALE_MAX)",
     "if (scale > 63)", ["check"]),
    ("ATC_INV.Size above 52", "lib/check.c", "> SMMUINV_ATC_SIZE_ALL)",
     "> SMMUINV_ATC_SIZE_ALL + 1)", ["check"]),
    ("IGNORED fields of ATC_INV", "lib/check.c",
     "j->dw0 &= ~(DW0_SSID | DW0_GLOBAL);", "j->dw0 &= ~DW0_GLOBAL;",
     ["check"]),
    ("SSV without SubstreamIDs", "lib/check.c",
     "\tif (!table->guest_ssid_bits)\n\t\tj->dw0 &= ~DW0_SSV;",
     "", ["check"]),
    ("SubstreamIDs out of range", "lib/check.c",
     "return ssid >> table->guest_ssid_bits;", "return ssid >> 20;",
     ["check"]),
    ("PRI_RESP.Resp", "lib/check.c", "if ((j->dw1 & DW1_RESP) == DW1_RESP)",
     "if (0)", ["check"]),
    ("SYNC.CS", "lib/check.c", "if ((j->dw0 & DW0_CS) == DW0_CS)", "if (0)",
     ["check"]),
    ("RES0 in strict mode", "lib/check.c",
     "if (table->strict && ((j->dw0 & res0.dw0) | (j->dw1 & res0.dw1)))",
     "if (table->strict && (j->dw0 & res0.dw0))", ["check"]),
    ("RES0 cleared", "lib/check.c", "\tj->dw1 &= row->keep.dw1;\n", "",
     ["check"]),
    ("8-bit ASIDs", "lib/check.c", "\t\tmask.dw0 &= ~DW0_ASID_HIGH;",
     "\t\t;", ["check"]),
    ("ranges without RIL", "lib/check.c", "\t\tmask.dw0 &= ~DW0_RIL;\n", "",
     ["check"]),
    ("the sixth bit of SCALE", "lib/check.c",
     "\t\tmask.dw0 &= ~DW0_SCALE_DS;", "\t\t;", ["check"]),
    ("the VMID is the kernel's", "lib/check.c",
     "\t\trow->keep.dw0 &= ~DW0_VMID;", "\t\t;", ["check"]),
    ("what the host cannot say", "lib/check.c",
     "if ((j->dw0 & row->lacking.dw0) | (j->dw1 & row->lacking.dw1))",
     "if (0)", ["check"]),
    # Ranges.
    ("a single granule of unknown level has no TG", "lib/range.c",
     "tlbi.tg = SMMUINV_TG_ANY;", "tlbi.ttl = 3;", ["range"]),
    ("a range reaches its last granule", "lib/range.c",
     "tlbi.num = (uint8_t)(units - 1);",
     "tlbi.num = (uint8_t)(units > 1 ? units - 2 : 0);", ["range"]),
    ("a level is never guessed", "lib/range.c", "tlbi.ttl = r->level;",
     "tlbi.ttl = r->level ? r->level : 3;", ["range"]),
    # Descriptors.
    ("TTB1's granule is encoded otherwise", "lib/cd.c",
     "cd.tg[1] = tg1_granule[", "cd.tg[1] = tg0_granule[", ["cd"]),
    ("an LPAE table has no TG", "lib/cd.c",
     "if (cd.walks[0] && (word & CD0_AA64))", "if (cd.walks[0])", ["cd"]),
    ("an invalid CD says nothing", "lib/cd.c", "\tif (!cd.valid)\n\t\treturn cd;\n",
     "", ["cd"]),
    ("S1CDMax without SubstreamIDs is ignored", "lib/ste.c",
     "\t\t!feature(guest, SMMUINV_FEATURE_SSIDSIZE));", "\t\tfalse);",
     ["ste"]),
    ("S1Fmt without substreams is ignored", "lib/ste.c",
     "drop_if(&word[0], STE0_S1FMT, !(word[0] & STE0_S1CDMAX));", "", ["ste"]),
    ("S1DSS without substreams is ignored", "lib/ste.c",
     "drop_if(&word[1], STE1_S1DSS, !(word[0] & STE0_S1CDMAX));", "", ["ste"]),
    ("S1DSS is carried", "lib/ste.c", "(STE1_S1DSS | STE1_S1CIR |",
     "(STE1_S1CIR |", ["ste"]),
    ("EATS without ATS is ignored", "lib/ste.c",
     "drop_if(&word[1], STE1_EATS, !feature(guest, SMMUINV_FEATURE_ATS));", "",
     ["ste"]),
    ("split-stage ATS is illegal", "lib/ste.c",
     "if (eats == EATS_SPLIT)", "if (0)", ["ste"]),
    ("S1STALLD is illegal without a choice", "lib/ste.c",
     "SMMUINV_FEATURE_STALL_MODEL) != STALL_MODEL_BOTH)\n\t\treturn SMMUINV_STE_RULE_S1STALLD;",
     "SMMUINV_FEATURE_STALL_MODEL) == STALL_MODEL_NONE)\n\t\treturn SMMUINV_STE_RULE_S1STALLD;",
     ["ste"]),
    ("S1CDMax is SSIDSIZE at most", "lib/ste.c",
     "bits_get(e->word[0], STE0_S1CDMAX) > substream_bits(guest)",
     "bits_get(e->word[0], STE0_S1CDMAX) > substream_bits(guest) + 1", ["ste"]),
    ("2-level CD tables need CD2L", "lib/ste.c",
     "\t\treturn SMMUINV_STE_RULE_S1FMT;", "\t\t;", ["ste"]),
    ("a CD is within OAS", "lib/ste.c", ">> address_bits(guest))", ">> 56)",
     ["ste"]),
    ("a guest without stalls cannot stall the host", "lib/ste.c",
     "\tif (hide_stalls)\n", "\tif (0)\n", ["ste"]),
    ("a bypassing vSTE is V and Config", "lib/ste.c",
     "htole64(e->word[0] & (STE0_V | STE0_CONFIG))", "htole64(e->word[0])",
     ["ste"]),
    ("a table of CDs is aligned", "lib/ste.c",
     "log2 = CD_LOG2 + count;", "log2 = CD_LOG2;", ["ste"]),
    ("an L1CD leads to aligned leaves", "lib/ste.c",
     "(leaf_log2[s.s1fmt] + CD_LOG2));", "12);", ["ste"]),
    # The plan: what goes down has at least the effect of what was written.
    ("a level's alignment is its entry's", PLAN,
     "return ttl ? granule + (3 - ttl) * (granule - 3) : granule;",
     "return ttl ? granule + (3 - ttl) * (granule - 2) : granule;", PLANNED),
    ("an unaligned range goes as it is", PLAN,
     "return !(va_of(c) & (entry - 1));", "return va_of(c) || entry;", PLANNED),
    ("Leaf=0 and Leaf=1 are apart", PLAN,
     "group_of(opcode_rank(c->opcode, c->dw1 & DW1_LEAF), kind);",
     "group_of(opcode_rank(c->opcode, true), kind);", PLANNED),
    ("NH_VAA is not NH_VA", PLAN, "return group | GROUP_ONE_ASID |",
     "return group |", PLANNED),
    ("ASIDs are apart", PLAN, "c->dw0 >> DW0_ASID_SHIFT << GROUP_ASID_SHIFT;",
     "(c->dw0 >> DW0_ASID_SHIFT & 0xff) << GROUP_ASID_SHIFT;", PLANNED),
    ("what cannot be joined is compared with its NUM and SCALE", PLAN,
     "group_of_address(c, TLBI_PLAIN) | (c->dw0 & DW0_RIL);",
     "group_of_address(c, TLBI_PLAIN);", PLANNED),
    ("Leaf=0 has Leaf=1 in it", PLAN, "run->last = c->dw1 | DW1_LEAF;",
     "run->last = c->dw1;", PLANNED),
    ("NUM counts from one", PLAN, "((c->dw0 & DW0_NUM) >> DW0_NUM_SHIFT) + 1;",
     "((c->dw0 & DW0_NUM) >> DW0_NUM_SHIFT);", PLANNED),
    ("a range ends with its half", PLAN,
     "uint64_t end = va | INT64_MAX; /* of its half */",
     "uint64_t end = UINT64_MAX;", PLANNED),
    ("a level is not believed of an unaligned range", PLAN,
     "run->ttl = is_aligned(c) ? ttl_of(c) : 0;", "run->ttl = ttl_of(c);",
     PLANNED),
    ("granules are apart", PLAN, "return group_of_address(c, TLBI_SPAN) | tg;",
     "return group_of_address(c, TLBI_SPAN) | 1;", PLANNED),
    ("a page is its whole granule", PLAN, "run->first = va_of(c) & ~rest;\n"
     "\trun->last = run->first | rest;\n\trun->group",
     "run->first = va_of(c);\n\trun->last = run->first | rest;\n\trun->group",
     PLANNED),
    ("NH_VAA needs the one granule that was shown", PLAN,
     "\tif (c->opcode == SMMUINV_CMD_TLBI_NH_VAA)\n"
     "\t\treturn in_range(w, c) ? w->granules->shown : SMMUINV_TG_ANY;\n", "",
     PLANNED),
    ("an NH_VAA out of range takes no other along", PLAN,
     "return in_range(w, c) ? w->granules->shown : SMMUINV_TG_ANY;",
     "return w->granules->shown;", ["plan"]),
    ("a range out of range takes no other along", PLAN,
     "!(is_aligned(c) && in_range(w, c))", "!is_aligned(c)", ["plan"]),
    ("an address out of range takes no other along", GRANULE,
     "\tif (!granule_va_in_range(granules, va))\n\t\treturn SMMUINV_TG_ANY;\n",
     "", ["plan"]),
    ("the guest's addresses have as many bits as it was shown", GRANULE,
     "SMMUINV_FEATURE_VAX) ? 52 : 48;", "SMMUINV_FEATURE_VAX) ? 52 : 52;",
     ["plan"]),
    ("a page is one only when its granule is certain", PLAN,
     "if (tg == SMMUINV_TG_ANY)\n\t\trun_of_plain(run, c);\n\telse",
     "if (tg == SMMUINV_TG_ANY)\n\t\trun_of_page(run, c, SMMUINV_TG_4K);\n"
     "\telse", PLANNED),
    ("without ranges a page stays as it is", PLAN,
     "tg = plan->host.ril ? certain_granule(w, c) : SMMUINV_TG_ANY;",
     "tg = certain_granule(w, c);", PLANNED),
    ("an ATC_INV is of so many pages", PLAN,
     "unsigned int log2 = 12 + (unsigned int)(c->dw1 & DW1_ATC_SIZE);",
     "unsigned int log2 = 13 + (unsigned int)(c->dw1 & DW1_ATC_SIZE);", PLANNED),
    ("streams are apart (ATC)", PLAN,
     "c->dw0 >> DW0_SID_SHIFT << GROUP_SID_SHIFT |\n\t\t     (uint64_t)",
     "(uint64_t)", PLANNED),
    ("an ATC_INV with a PASID is another", PLAN,
     "(uint64_t) !!(c->dw0 & DW0_SSV) << GROUP_SSV_SHIFT |", "0 |", PLANNED),
    ("PASIDs are apart", PLAN,
     "<< GROUP_G_SHIFT |\n\t\t     (c->dw0 & DW0_SSID) >> DW0_SSID_SHIFT;",
     "<< GROUP_G_SHIFT;", PLANNED),
    ("streams are apart (CD)", PLAN,
     "run->group = group_of(opcode_rank(c->opcode, leaf), 0) |\n"
     "\t\t     c->dw0 >> DW0_SID_SHIFT;",
     "run->group = group_of(opcode_rank(c->opcode, leaf), 0);", PLANNED),
    ("CFGI_CD of SubstreamID 0 is not CFGI_CD_ALL", PLAN,
     "run->first = ((c->dw0 & DW0_SSID) + DW0_SSID_ONE) | leaf;",
     "run->first = (c->dw0 & DW0_SSID) | leaf;", PLANNED),
    ("NSNH_ALL is more than NH_ALL", PLAN,
     "run->first = c->opcode == SMMUINV_CMD_TLBI_NH_ALL;",
     "run->first = c->opcode != SMMUINV_CMD_TLBI_NH_ALL;", PLANNED),
    ("nothing grows over the end", PLAN,
     "uint64_t pages = -va >> log2;", "uint64_t pages = UINT64_MAX;", PLANNED),
    ("the next page is of the same command", PLAN,
     "if (command_dw0(&next[i]) != c->dw0 ||\n\t\t    command_dw1",
     "if (command_dw1", PLANNED),
    ("the next page is the next", PLAN, "command_dw1(&next[i]) != dw1)",
     "command_dw1(&next[i]) < dw1)", PLANNED),
    ("what is taken is not looked at again, and nothing else", PLAN,
     "i += grow(run, &c,", "i += 1 + grow(run, &c,", PLANNED),
    ("growing ends with the window", PLAN, "uint32_t n = w->count - index - 1;",
     "uint32_t n = w->count - index;", PLANNED),
    ("equal is equal in all", PLAN,
     "command_dw0(seen) != c->dw0 || command_dw1(seen) != c->dw1",
     "command_dw1(seen) != c->dw1", PLANNED),
    ("what has a rule is not sent", PLAN,
     "if (w->rules && w->rules[i]) {\n\t\t\tskipped++;\n\t\t\tcontinue;",
     "if (w->rules && w->rules[i]) {\n\t\t\tskipped++;", PLANNED),
    ("sorted by group and then by address", PLAN,
     "return a->group != b->group ? a->group < b->group : a->first < b->first;",
     "return a->group < b->group;", PLANNED),
    ("many are sorted by all that differs", PLAN,
     "differs[1] |= plan->runs[i].group ^ plan->runs[0].group;", "", PLANNED),
    ("the first of those that one command stands for", PLAN,
     "if (run->origin < head->origin)\n\t\thead->origin = run->origin;", "",
     PLANNED),
    ("covered to its end", PLAN, "head->last < run->last ||\n\t    (head->ttl",
     "head->last < run->first ||\n\t    (head->ttl", PLANNED),
    ("covered in its level", PLAN,
     "head->last < run->last ||\n\t    (head->ttl && head->ttl != run->ttl))",
     "head->last < run->last)", PLANNED),
    ("what is covered counts for the origin", PLAN,
     "\tabsorb(head, run);\n\treturn true;", "\treturn true;", PLANNED),
    ("neighbours are no further than that", PLAN,
     "run->first - 1 == head->last;", "run->first - 4097 <= head->last;",
     PLANNED),
    ("levels that differ are given up", PLAN,
     "\t\thead->ttl = 0;\n\t\thead->joined = true;", "", PLANNED),
    ("a level is kept where it is the same", PLAN,
     "if (head->ttl && head->ttl != run->ttl) {", "if (head->ttl) {", PLANNED),
    ("joined to the end of both", PLAN,
     "if (run->last > head->last) {\n\t\thead->last = run->last;",
     "if (run->last > head->last) {\n\t\thead->last = run->first;", PLANNED),
    ("what is joined does not shrink", PLAN,
     "if (run->last > head->last) {\n\t\thead->last",
     "if (run->last != head->last) {\n\t\thead->last", PLANNED),
    ("only one group is joined", PLAN, "if (same && touch(head, run))",
     "if (head && touch(head, run))", PLANNED),
    ("an ASID is the same within its group", PLAN,
     "if (same && run->first == head->first)",
     "if (head && run->first == head->first)", PLANNED),
    ("CFGI_CD_ALL is of its stream", PLAN,
     "if (head && head->group == run->group && run->first <= head->last)",
     "if (head && run->first <= head->last)", PLANNED),
    ("buddies have the same size", PLAN,
     "return a->log2 == b->log2 && a->last", "return a->last", PLANNED),
    ("buddies are neighbours", PLAN, "a->last + 1 == b->first &&\n",
     "a->last < b->first &&\n", PLANNED),
    ("buddies are aligned", PLAN, "!(a->first >> a->log2 & 1);", "1;", PLANNED),
    ("ATC spans of other groups are apart", PLAN,
     "if (!head || head->group != run->group || head->last < run->first) {",
     "if (!head || head->last < run->first) {", PLANNED),
    ("a smaller span is part of a larger", PLAN,
     "} else if (run->last <= head->last) {", "} else if (1) {", PLANNED),
    ("both buddies count for the origin", PLAN, "\t\tabsorb(a, b);\n", "",
     PLANNED),
    ("buddies are of one group", PLAN,
     "if (a->group != b->group || !are_buddies(a, b))",
     "if (!are_buddies(a, b))", PLANNED),
    ("a range covers the last granule", PLAN,
     "uint64_t left = ((run->last - run->first) >> granule) + 1;",
     "uint64_t left = ((run->last - run->first) >> granule);", PLANNED),
    ("a range's own level goes", PLAN,
     "\tdw0 &= ~DW0_RIL;\n\tdw1 &= DW1_LEAF;\n", "\tdw0 &= ~DW0_RIL;\n",
     PLANNED),
    ("lengths are rounded up by less than a sixteenth", PLAN,
     "unsigned int scale = bits - UNITS_LOG2;",
     "unsigned int scale = bits - UNITS_LOG2 + 1;", PLANNED),
    ("SCALE is not above what there is", PLAN,
     "if (scale > plan->host.scale_max)\n\t\t\tscale = plan->host.scale_max;", "",
     PLANNED),
    ("lengths are rounded up", PLAN,
     "units = (left + (UINT64_C(1) << scale) - 1) >> scale;",
     "units = left >> scale;", PLANNED),
    ("TG alone is reserved", PLAN, "if (left == 1 && !run->ttl)", "if (0)",
     PLANNED),
    ("a range has its granule", PLAN,
     "(uint64_t)tg << DW1_TG_SHIFT |\n\t\t\t\t    (uint64_t)run->ttl",
     "(uint64_t)1 << DW1_TG_SHIFT |\n\t\t\t\t    (uint64_t)run->ttl", PLANNED),
    ("the next range is where the last ended", PLAN,
     "va += units << scale << granule;",
     "va += (units << scale << granule) + (1u << granule);", PLANNED),
    ("the last page of a range too", PLAN,
     "return ((run->last - run->first) >> entry) + 1;",
     "return ((run->last - run->first) >> entry);", PLANNED),
    ("pages are as far apart as entries", PLAN,
     "uint64_t entry = UINT64_C(1)\n\t\t\t << entry",
     "uint64_t entry = UINT64_C(2)\n\t\t\t << entry", PLANNED),
    ("ranges become pages only without ranges", PLAN,
     "if (!is_atc && !plan->host.ril && dw1 & DW1_TG)",
     "if (!is_atc && dw1 & DW1_TG)", PLANNED),
    ("the threshold is of the whole window", PLAN,
     "if (more > s->plan->pages_max ||\n\t\t    pages + more > s->plan->pages_max)",
     "if (more > s->plan->pages_max)", PLANNED),
    ("all instead of pages stands for the first of them", PLAN,
     "if (head->origin < origin)\n\t\t\torigin = head->origin;",
     "origin = head->origin;", PLANNED),
    ("as written, no more pages than are left", PLAN,
     "if (pages > *left)", "if (pages > *left + 1)", PLANNED),
    ("as written, pages are taken from what is left", PLAN,
     "*left -= (uint32_t)pages;", "", PLANNED + ["batch"]),
    ("no call is larger than the kernel takes", "lib/execute.c",
     "smaller(slice->count, SMMUINV_BATCH_CAPACITY_MAX)", "slice->count",
     ["batch"]),
    # Which granule is certain.
    ("AArch32 tables have 4K", GRANULE,
     "smmuinv_features_get(guest, SMMUINV_FEATURE_TTF) & TTF_AARCH32)\n"
     "\t\treturn true;", "0)\n\t\treturn true;", ["granule"]),
    ("two granules shown are none that is certain", GRANULE, "if (shown != 1)",
     "if (shown > 2)", ["granule"]),
    ("a CD that is not valid notes nothing", GRANULE,
     "for (half = 0; cd->valid && half < 2; half++) {",
     "for (half = 0; half < 2; half++) {", ["granule"]),
    ("all ASIDs must agree", GRANULE,
     "if (set != __atomic_load_n(&granules->all[half], __ATOMIC_RELAXED))\n"
     "\t\treturn SMMUINV_TG_ANY;", "", ["granule"]),
    ("halves are apart", GRANULE, "set = set >> (half * SET_BITS) &",
     "set = set >> (0 * SET_BITS) &", ["granule"]),
    ("forgotten is forgotten in both halves", GRANULE,
     "__atomic_store_n(&granules->all[1], 0, __ATOMIC_RELAXED);", "",
     ["granule"]),
    # Several SMMUs.
    ("a stream's commands go to its owner only", "lib/batch.c",
     "batch->slots[i] != slot) ||", "0) ||", OWNERS),
    ("a TLBI goes to every SMMU", "lib/batch.c",
     "(command_names_stream(&batch->commands[i]) &&\n"
     "\t\t\t\t  batch->slots[i] != slot)",
     "(batch->slots[i] != slot)", OWNERS),
    ("a failure of one does not keep the others from their part",
     "lib/batch.c", "\t\tjoin(outcome, &one);\n",
     "\t\tjoin(outcome, &one);\n\t\tif (one.error) {\n"
     "\t\t\twhile (++slot < batch->vsmmu->viommu_count)\n"
     "\t\t\t\tcompleted[slot] = 0;\n\t\t\tbreak;\n\t\t}\n", OWNERS),
    ("a time-out hides nothing that is worse", "lib/batch.c",
     "\tif (a->cerror != b->cerror)\n"
     "\t\treturn a->cerror == SMMUINV_CERROR_NONE;\n", "", OWNERS),
    ("nothing is complete that one SMMU has not done", "lib/batch.c",
     "if (before.completed < one->completed)", "if (before.completed > one->completed)",
     OWNERS),
    ("the earliest failure is the outcome", "lib/batch.c",
     "return a->completed < b->completed;", "return a->completed > b->completed;",
     OWNERS),
    ("one's success does not hide another's failure", "lib/batch.c",
     "\tif (!a->error || !b->error)\n\t\treturn a->error;",
     "\tif (!a->error || !b->error)\n\t\treturn !a->error;", OWNERS),
    ("what is known done is not repeated by a retry", "lib/batch.c",
     "batch->done[index] >> slot & 1;", "batch->done[index] >> slot & 0;",
     OWNERS),
    ("what one has done another has not", "lib/batch.c",
     "\t\t\tbatch->done[i] |= UINT64_C(1) << slot;",
     "\t\t\tbatch->done[i] |= UINT64_MAX;", OWNERS),
    ("only what is complete counts as done", "lib/batch.c",
     "remember_done(batch, first, completed[slot], slot);",
     "remember_done(batch, first, batch->count - first, slot);", OWNERS),
    ("a queue that reads again knows what is done", "lib/batch.c",
     "\t\tbatch->done[base + i] = batch->again[i].done;\n",
     "\t\tbatch->done[base + i] = 0;\n", OWNERS),
    ("another command in its place is not done", "lib/batch.c",
     "\t\tif (memcmp(&batch->commands[base + i], &batch->again[i].command,\n"
     "\t\t\t   sizeof(batch->again[i].command)))\n\t\t\tbreak;\n", "",
     OWNERS),
    ("another list of SMMUs knows nothing", "lib/batch.c",
     "batch->done_changes == batch->vsmmu->viommu_changes;", "true;", OWNERS),
    ("what went on elsewhere is not known", "lib/queue.c",
     "\tif (pointer_at(&run, 0) != queue->again)\n"
     "\t\tsmmuinv__batch_forget_done(queue->batch);\n", "", OWNERS),
    ("what is like a command long done is not done", "lib/batch.c",
     "\t} else if (batch->done_end > first) {", "\t} else if (0) {", OWNERS),
    ("what the guest saw fail is executed again", "lib/queue.c",
     "\t\tsmmuinv__batch_forget_again(q->batch);", "\t\t;", OWNERS),
    ("a reset forgets what is done", "lib/batch.c",
     "\tforget(batch);\n\tbatch->again_count = 0;\n", "\tforget(batch);\n",
     ["viommu"]),
    ("a reset forgets what was carried", "lib/queue.c",
     "\tsmmuinv_batch_clear(queue->batch);\n\tqueue->carried = 0;\n",
     "\tqueue->carried = queue->carried;\n", ["queue"]),
    ("an SMMU that cannot carry the guest is refused", "lib/vsmmu.c",
     "\trc = smmuinv_features_compatible(&vsmmu->guest, &p.host, NULL);\n"
     "\tif (rc)\n\t\treturn rc;\n", "\trc = 0;\n", SMMUS),
    ("an SMMU is there once", "lib/vsmmu.c", "\t\treturn -EEXIST;",
     "\t\t;", SMMUS),
    ("an SMMU with streams is not taken away", "lib/vsmmu.c",
     "\tif (smmuinv__streams_on(v->streams, id))\n\t\treturn -EBUSY;\n", "",
     SMMUS),
    ("there is an end to SMMUs", "lib/vsmmu.c",
     "if (v->viommu_count == SMMUINV_VIOMMUS_MAX)",
     "if (v->viommu_count == SMMUINV_VIOMMUS_MAX - 1)", SMMUS),
    ("the erratum is of the SMMU that has it", "lib/vsmmu.c",
     ".repeat = repeats(v->repeat, p->hw_flags),", ".repeat = false,",
     ["batch"]),
    ("without any SMMU everything is complete", "lib/batch.c",
     "\tif (!batch->vsmmu->viommu_count)\n\t\tresolve_nowhere(batch, first);\n",
     "", OWNERS),
    ("what both have is the less of both", "lib/features.c",
     "return a < b ? a : b;", "return a > b ? a : b;", COMMON),
    ("what contradicts each other has nothing in common", "lib/features.c",
     "return a && b && a != b ? -1 : (int64_t)(a | b);",
     "return (int64_t)(a | b);", COMMON),
    ("two SMMUs have a granule in common", "lib/features.c",
     "\tif (!has_any_granule(&both))\n\t\tgoto contradiction;\n", "",
     COMMON),
    # The state of streams.
    ("a stream aborts until it is set", "lib/stream.c",
     "\t\t.can_ats = p.ats,\n", "\t\t.can_ats = p.ats,\n"
     "\t\t.translates = true,\n", ["stream"]),
    ("CFGI_CD needs a stream that translates", "lib/batch.c",
     "return stream->translates ? SMMUINV_RULE_NONE :",
     "return 1 ? SMMUINV_RULE_NONE :", STATES),
    ("ATC_INV needs ATS", "lib/batch.c",
     "return stream->ats ? SMMUINV_RULE_NONE : SMMUINV_RULE_ATS_OFF;",
     "return stream->translates ? SMMUINV_RULE_NONE : SMMUINV_RULE_ATS_OFF;",
     STATES),
    ("ATS needs the device's own", "lib/stream.c",
     "stream->ats = translates && ats && stream->can_ats;",
     "stream->ats = translates && ats;", STATES),
    ("ATS needs stage 1", "lib/stream.c",
     "stream->ats = translates && ats && stream->can_ats;",
     "stream->ats = ats && stream->can_ats;", STATES),
    ("streams are gone through in their order", "lib/radix.c",
     "i = (i / span_below(level) + 1) * span_below(level);",
     "i = (i / span_below(level) + 2) * span_below(level);", ["radix"]),
    ("removing all goes on after a failure", "lib/stream.c",
     "\t\tif (!first)\n\t\t\tfirst = rc;\n\t\tif (vsid++ == UINT32_MAX)",
     "\t\tif (!first)\n\t\t\tfirst = rc;\n\t\tif (first || vsid++ == UINT32_MAX)",
     ["stream"]),
    # What a CFGI_STE asks for.
    ("a CFGI_STE takes the CDs of its stream along", "lib/queue.c",
     "\tsmmuinv_command_cfgi_cd_all(&command, vsid);\n",
     "\tsmmuinv_command_cfgi_cd_all(&command, vsid + 1);\n", STE),
    ("after the callbacks", "lib/queue.c",
     "\tint rc = call_cfgi_ste(run, first, last, leaf);\n",
     "\tint rc = invalidate_cds_below(run, first, last);\n\n"
     "\trc = rc ? rc : call_cfgi_ste(run, first, last, leaf);\n"
     "\tif (rc >= 0)\n\t\treturn 0;\n", STE),
    ("for each stream in the range", "lib/queue.c",
     "\t\trc = invalidate_cds(run, vsid);\n\t\tif (vsid++ == last)",
     "\t\trc = invalidate_cds(run, vsid);\n\t\tif (vsid++ >= first)", STE),
    ("streams outside the range are not presented", "lib/queue.c",
     "return !smmuinv_streams_next(streams_of(run), vsid) && *vsid <= last;",
     "return !smmuinv_streams_next(streams_of(run), vsid);", STE),
    ("a range is aligned to its size", "lib/queue.c",
     "return take_cfgi_ste(run, sid & ~rest, sid | rest, false);",
     "return take_cfgi_ste(run, sid, sid + rest, false);", ["queue"]),
    # The order between ranks.
    ("configuration before TLBs", "lib/execute.c",
     "\tif (kinds & RANKS_TLBI)\n"
     "\t\tbehind->ranks[COMMAND_RANK_TABLE] |= before & RANKS_CFGI;\n", "",
     RANKS + ["promise", "batch"]),
    ("each rank before those above it", "lib/execute.c",
     "behind->ranks[rank] |= before & (RANK_BIT(rank) - 1);",
     "behind->ranks[rank] |= before & (RANK_BIT(rank) - 1) & 1;", RANKS),
    ("a call ends behind what must be complete", "lib/execute.c",
     "!(breaks & upto & ~ranks_upto(behind->ranks[rank]))", "!(breaks & upto)",
     RANKS),
    ("no call ends for nothing", "lib/execute.c",
     "!(breaks & upto & ~ranks_upto(behind->ranks[rank]))", "1", RANKS),
    ("as written too", "lib/execute.c",
     "if (!(before & ranks_below(kinds)))\n\t\t\tcontinue;",
     "if (1)\n\t\t\tcontinue;", RANKS),
    # Counters.
    ("what is forwarded is counted", COUNTED, "\tcounter_add(&now->forwarded,",
     "\tcounter_add(&now->merged,", COUNTS),
    ("calls are counted", "lib/counters.c",
     "\tcounter_add(&now->ioctls, calls->ioctls);\n", "", COUNTS),
    ("retries are counted", "lib/counters.c",
     "\tcounter_add(&now->retries, calls->retries);\n", "", COUNTS),
    ("repeats are counted", "lib/counters.c",
     "\tcounter_add(&now->repeats, calls->repeats);\n", "", COUNTS),
    ("merging is counted", COUNTED, "\tcounter_add(&now->merged, o->merged);\n",
     "", COUNTS),
    ("failed calls are counted", "lib/counters.c",
     "\tcounter_add(&now->failed, calls->failed);\n", "", COUNTS),
    ("stops are counted", "lib/queue.c",
     "counter_add(&tally->now.stops[p.cerror], 1);", ";", COUNTS),
    ("what a consumer has counted stays when it goes", "lib/counters.c",
     "\tadd(&counters->past, &tally->now);\n", "", COUNTS),
    ("drops are counted by reason", "lib/counters.c",
     "\tcounter_add(&tally->now.dropped, 1);\n"
     "\tcounter_add(&tally->now.by_rule[rule], 1);\n",
     "\tcounter_add(&tally->now.dropped, 1);\n", COUNTS),
    ("what is illegal is counted by reason", "lib/counters.c",
     "\tcounter_add(&tally->now.illegal, 1);\n"
     "\tcounter_add(&tally->now.by_rule[rule], 1);\n",
     "\tcounter_add(&tally->now.illegal, 1);\n", COUNTS),
    # What is shown.
    ("nothing is shown where nothing is sent", "lib/execute.c",
     "if (x->vsmmu->trace && slice->count)", "if (x->vsmmu->trace)",
     ["trace"]),
    ("it is shown why", "lib/execute.c", ".error = outcome->error,",
     ".error = 0,", ["trace"]),
    ("a second round is shown whole", "lib/execute.c",
     "\tslice->commands[b] = command;\n", "", ["trace"]),
    # A saved state.
    ("a changed state is refused", STATE,
     "if (checksum(s->bytes + HEAD_SUMMED, length - HEAD_SUMMED) != s->sum)",
     "if (0)", ["state"]),
    ("a state of another length is refused", STATE,
     "if (length != HEAD_BYTES +", "if (length < HEAD_BYTES +", ["state"]),
    ("a newer state is refused", STATE, "if (get(&c) != VERSION)",
     "if (get(&c) < VERSION)", ["state"]),
    ("something else is refused", STATE, "if (get(&c) != MAGIC)",
     "if (!get(&c))", ["state"]),
    ("streams are in order and once", STATE,
     "\t\t    stream.vsid + UINT64_C(1) <= before)\n", "\t\t    0)\n",
     ["state"]),
    ("ASIDs are in order and once", STATE,
     "(asid >> 16) + UINT64_C(1) <= before)", "0)", ["state"]),
    ("ATS without stage 1 is no state", STATE,
     "(stream.ats && !stream.translates) ||", "0 ||", ["state"]),
    ("unknown bits are no state", STATE,
     ".size = flags & ~(STREAM_TRANSLATES | STREAM_ATS),", ".size = 0,",
     ["state"]),
    ("all streams must be there before any changes", STATE,
     "\t\tinfo->rule = SMMUINV_STATE_RULE_STREAM;\n\t\treturn -ENOENT;\n",
     "\t\tcontinue;\n", ["state"]),
    ("a state is for who shows the same", STATE,
     "return !memcmp(&v->guest, &s->guest, sizeof(s->guest)) &&",
     "return", ["state"]),
    ("strictness is part of what is shown", STATE,
     "flags == s->check_flags;", "(flags | 1);", ["state"]),
    ("granules are restored", STATE,
     "\t\tsmmuinv__granules_add(&v->granules,", "\t\tif (0)\n"
     "\t\t\tsmmuinv__granules_add(&v->granules,", ["state"]),
    # Invalidations that no guest asks for.
    ("everything is everything on each SMMU", "lib/invalidate.c",
     "for (i = 0; i < v->viommu_count; i++) {",
     "for (i = 0; i < v->viommu_count && i < 1; i++) {", ["invalidate"]),
    ("with any PASID too", "lib/invalidate.c", "\tatc.global = true;\n", "",
     ["invalidate"]),
    ("what can be invalidated is", "lib/invalidate.c",
     "\t\tif (rc)\n\t\t\trc = send_again(p, rc, atc);\n", "", ["invalidate"]),
    ("a SMMU that does not answer is not asked for each stream",
     "lib/invalidate.c", "error == -ETIMEDOUT && !atc ?", "error == 1 ?",
     ["invalidate"]),
    ("a device that does not answer is told apart", "lib/invalidate.c",
     "error == -ETIMEDOUT && !atc ?", "error == -ETIMEDOUT ?",
     ["invalidate"]),
    ("with the erratum twice", "lib/invalidate.c",
     "int rounds = !atc && p->viommu->repeat ? 2 : 1;", "int rounds = 1;",
     ["invalidate"]),
    ("after a reset every stream aborts", "lib/invalidate.c",
     "\tsmmuinv__streams_abort(vsmmu->streams);\n", "", ["invalidate"]),
    ("a reset can be done again", "lib/invalidate.c",
     "if (!(stream->translates || p->reset) ||", "if (!stream->translates ||",
     ["invalidate"]),
    ("after a reset no granule is known", "lib/invalidate.c",
     "\t\tsmmuinv__granules_forget(&vsmmu->granules);\n", "\t\t;\n",
     ["invalidate"]),
    ("of entries that are left the granule stays known", "lib/invalidate.c",
     "\tif (!rc)\n\t\tsmmuinv__granules_forget(", "\tsmmuinv__granules_forget(",
     ["invalidate"]),
]


def apply(tree, mutation):
    promise, name, old, new, _ = mutation
    path = tree / name
    text = path.read_text()
    if old not in text:
        sys.exit(f"'{promise}' no longer applies: {old!r} is not in {name}")
    path.write_text(text.replace(old, new, 1))
    return path, text


def build(folder, tests):
    return subprocess.run(["ninja", "-C", str(folder), "-j2",
                           *(f"tests/test-{test}" for test in tests)],
                          check=False, capture_output=True, text=True)


def noticed_by(folder, tests, scale):
    for test in tests:
        program = folder / "tests" / f"test-{test}"
        try:
            done = subprocess.run([str(program)], check=False, timeout=120,
                                  capture_output=True,
                                  env={"SMMUINV_TEST_SCALE": scale})
        except subprocess.TimeoutExpired:
            return f"{test} (hangs)"
        if done.returncode:
            return test
    return None


def copy_tree(source, target):
    names = subprocess.run(["git", "ls-files", "--cached", "--others",
                            "--exclude-standard"], cwd=source, check=True,
                           capture_output=True, text=True).stdout.split()
    for name in names:
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)


def set_up(work):
    tree, folder = work / "tree", work / "build"
    subprocess.run(["meson", "setup", "--buildtype=plain",
                    "-Ddefault_library=static", "-Dwarning_level=0",
                    str(folder), str(tree)], check=True, capture_output=True)


def try_mutation(work, mutation, scale):
    """The test that notices it, None, or an exit if there is nothing to try."""
    path, text = apply(work / "tree", mutation)
    compiled = build(work / "build", mutation[4])
    if compiled.returncode:
        sys.exit(f"'{mutation[0]}' does not compile:\n{compiled.stdout}")
    test = noticed_by(work / "build", mutation[4], scale)
    path.write_text(text)
    return test


def report(mutation, test):
    print(f"{mutation[0]}: {'noticed by ' + test if test else 'NOT NOTICED'}",
          flush=True)
    return test is None


def try_all(works, tried, scale):
    """Several trees side by side; returns how many were not noticed."""
    free = queue.SimpleQueue()
    for work in works:
        free.put(work)

    def one(mutation):
        work = free.get()
        try:
            return report(mutation, try_mutation(work, mutation, scale))
        finally:
            free.put(work)

    with concurrent.futures.ThreadPoolExecutor(len(works)) as pool:
        return sum(pool.map(one, tried))


def unchanged_passes(work, tests, scale):
    set_up(work)
    if build(work / "build", tests).returncode:
        sys.exit("the unchanged tree does not build")
    test = noticed_by(work / "build", tests, scale)
    if test:
        sys.exit(f"the unchanged tree does not pass: {test}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="0.01",
                        help="SMMUINV_TEST_SCALE of the tests (default 0.01)")
    parser.add_argument("--only", help="mutations whose promise contains this")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count()),
                        help="so many side by side (default: of the machine)")
    arguments = parser.parse_args()
    source = pathlib.Path(__file__).resolve().parent.parent
    tried = [m for m in MUTATIONS
             if not arguments.only or arguments.only in m[0]]
    with tempfile.TemporaryDirectory() as temporary:
        works = [pathlib.Path(temporary) / str(i)
                 for i in range(arguments.jobs)]
        for work in works:
            copy_tree(source, work / "tree")
        every = sorted({test for m in tried for test in m[4]})
        for mutation in tried:
            path, text = apply(works[0] / "tree", mutation)
            path.write_text(text)
        for work in works:
            unchanged_passes(work, every, arguments.scale)
        unnoticed = try_all(works, tried, arguments.scale)
    print(f"{len(tried) - unnoticed} passed, {unnoticed} failed")
    sys.exit(1 if unnoticed else 0)


if __name__ == "__main__":
    main()
