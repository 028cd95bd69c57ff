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
import pathlib
import shutil
import subprocess
import sys
import tempfile

# What is promised, the file, the text to replace, its replacement, the tests.
MUTATIONS = [
    ("the accepted prefix is sent again", "lib/batch.c",
     "e->limit = e->done + accepted(rc, asked, count);",
     "e->done += accepted(rc, asked, count); e->limit = e->done;",
     ["batch", "faults"]),
    ("only a refusal leaves a count to believe", "lib/batch.c",
     "return error == -EIO && count < asked ? count : 0;",
     "return count < asked ? count : 0;", ["batch"]),
    ("an impossible count is nothing done", "lib/batch.c",
     "return error == -EIO && count < asked ? count : 0;",
     "return error == -EIO ? count : 0;", ["batch"]),
    ("ENOMEM is retried in smaller calls", "lib/batch.c",
     "if (rc == -ENOMEM && asked > 1) {", "if (rc == -ENOMEM && asked > 999) {",
     ["batch"]),
    ("ENOMEM for one command ends the retries", "lib/batch.c",
     "if (rc == -ENOMEM && asked > 1) {", "if (rc == -ENOMEM && asked > 2) {",
     ["batch"]),
    ("success for another count is not believed", "lib/batch.c",
     "if (!rc && *count != asked)", "if (!rc && *count > asked)", ["batch"]),
    ("the erratum is executed twice", "lib/batch.c",
     "if (!batch->vsmmu->repeat)", "if (batch->vsmmu->repeat)", ["batch"]),
    ("the erratum's second round can fail", "lib/batch.c",
     "if (second.done == twice.count)", "if (second.done || 1)", ["batch"]),
    ("the erratum does not concern ATC_INV", "lib/batch.c",
     "\t\t\tcontinue;\n\t\tslice->commands[kept] = slice->commands[i];",
     "\t\t\t;\n\t\tslice->commands[kept] = slice->commands[i];", ["batch"]),
    ("a device that is gone is told apart", "lib/batch.c",
     "\toutcome->error = -ENODEV;\n", "\toutcome->error = -EIO;\n", ["batch"]),
    ("a vSID without a device is not sent", "lib/batch.c",
     "known ? SMMUINV_RULE_NONE :", "known || 1 ? SMMUINV_RULE_NONE :",
     ["batch"]),
    ("a timeout after ATC_INV is the guest's to see", "lib/batch.c",
     "e->atc_timed_out = rc == -ETIMEDOUT && has_atc_inv(commands, asked);",
     "e->atc_timed_out = false;", ["batch", "queue"]),
    ("a timeout without ATC_INV is not", "lib/batch.c",
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
    ("what an ATC timeout leaves is kept", "lib/queue.c",
     "\tq->carried = upto;\n", "\tq->carried = 0;\n", ["queue"]),
    ("what is not complete is read again", "lib/queue.c",
     "rc = settle(run, first + outcome.completed);",
     "rc = settle(run, smmuinv_batch_count(q->batch));", ["queue"]),
    ("a SYNC waits for what is before it", "lib/queue.c",
     "syncs[run->signaled].at <= upto", "syncs[run->signaled].at <= upto + 1",
     ["queue"]),
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
]


def apply(tree, mutation):
    promise, name, old, new, _ = mutation
    path = tree / name
    text = path.read_text()
    if old not in text:
        sys.exit(f"'{promise}' no longer applies: {old!r} is not in {name}")
    path.write_text(text.replace(old, new, 1))
    return path, text


def build(folder):
    return subprocess.run(["ninja", "-C", str(folder)], check=False,
                          capture_output=True, text=True)


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


def try_mutation(tree, folder, mutation, scale):
    path, text = apply(tree, mutation)
    compiled = build(folder)
    if compiled.returncode:
        sys.exit(f"'{mutation[0]}' does not compile:\n{compiled.stdout}")
    test = noticed_by(folder, mutation[4], scale)
    path.write_text(text)
    return test


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="0.01",
                        help="SMMUINV_TEST_SCALE of the tests (default 0.01)")
    parser.add_argument("--only", help="mutations whose promise contains this")
    arguments = parser.parse_args()
    source = pathlib.Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as work:
        tree = pathlib.Path(work) / "tree"
        folder = pathlib.Path(work) / "build"
        copy_tree(source, tree)
        subprocess.run(["meson", "setup", "--buildtype=plain",
                        "-Ddefault_library=static", "-Dwarning_level=0",
                        str(folder), str(tree)], check=True,
                       capture_output=True)
        if build(folder).returncode:
            sys.exit("the unchanged tree does not build")
        every = sorted({test for m in MUTATIONS for test in m[4]})
        if noticed_by(folder, every, arguments.scale):
            sys.exit("the unchanged tree does not pass")
        unnoticed = 0
        tried = [m for m in MUTATIONS
                 if not arguments.only or arguments.only in m[0]]
        for mutation in tried:
            test = try_mutation(tree, folder, mutation, arguments.scale)
            print(f"{mutation[0]}: {'noticed by ' + test if test else 'NOT NOTICED'}",
                  flush=True)
            unnoticed += test is None
    print(f"{len(tried) - unnoticed} passed, {unnoticed} failed")
    sys.exit(1 if unnoticed else 0)


if __name__ == "__main__":
    main()
