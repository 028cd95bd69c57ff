/* SPDX-License-Identifier: MIT */
/*
 * The structures of the public headers as release 0.1 has them: where each
 * member is, with nothing between two of them or behind the last. Padding would
 * be a trap: a member that is put there later changes no size, so what an old
 * caller has left there cannot be told from a new caller's wish.
 *
 * A layout that is told here may change in no way but one: the structure grows
 * at its end, or what is reserved gets a name.
 */
#include "support.h"

#include <smmuinv/caches.h>
#include <smmuinv/mock.h>
#include <smmuinv/smmuinv.h>

struct member {
	const char *name;
	size_t frozen;
	size_t offset;
	size_t size;
};

/* Of the structure @type: a member, and at which byte it begins. */
#define M(member, at)                                  \
	{                                              \
#member, (at), offsetof(type, member), \
			sizeof(((type *)0)->member)    \
	}

/* Members in their order, each up to the next, the last up to the end. */
static void assert_layout(const struct member *members, size_t count,
			  size_t size, size_t frozen_size)
{
	size_t end = 0;
	size_t i;

	/* Offsets are told for 64-bit pointers. */
	if (sizeof(void *) != 8 || sizeof(size_t) != 8)
		skip();
	for (i = 0; i < count; i++) {
		if (members[i].offset != members[i].frozen)
			fail_msg("%s is at %zu, and was at %zu",
				 members[i].name, members[i].offset,
				 members[i].frozen);
		if (members[i].offset != end)
			fail_msg("%zu bytes of nothing before %s",
				 members[i].offset - end, members[i].name);
		end += members[i].size;
	}
	if (size != frozen_size)
		fail_msg("the size is %zu, and was %zu", size, frozen_size);
	if (size != end)
		fail_msg("%zu bytes of nothing at the end", size - end);
}

/* A test: struct smmuinv_@tag, its size, its members. */
#define LAYOUT(tag, frozen_size, ...)                                     \
	static void layout_of_##tag(void **state)                         \
	{                                                                 \
		typedef struct smmuinv_##tag type;                        \
		static const struct member members[] = { __VA_ARGS__ };   \
                                                                          \
		(void)state;                                              \
		assert_layout(members, ARRAY_SIZE(members), sizeof(type), \
			      (frozen_size));                             \
	}

/* command.h */
LAYOUT(command, 16, M(dw, 0))
LAYOUT(tlbi, 24, M(size, 0), M(va, 8), M(asid, 16), M(leaf, 18), M(tg, 19),
       M(ttl, 20), M(num, 21), M(scale, 22), M(reserved, 23))
LAYOUT(atc, 32, M(size, 0), M(address, 8), M(sid, 16), M(ssid, 20), M(ssv, 24),
       M(global, 25), M(log2_pages, 26), M(reserved, 27))

/* features.h */
LAYOUT(features, 24, M(idr, 0))
LAYOUT(hw_info, 40, M(flags, 0), M(reserved, 4), M(idr, 8), M(iidr, 32),
       M(aidr, 36))
LAYOUT(offer, 24, M(size, 0), M(ril, 8), M(ats, 9), M(asid16, 10), M(stall, 11),
       M(ds, 12), M(msi, 13), M(sev, 14), M(ssid_bits, 15), M(sid_bits, 16),
       M(cmdq_bits, 17), M(eventq_bits, 18), M(granules, 19),
       M(address_bits, 20), M(reserved, 21))

/* check.h */
LAYOUT(finding, 32, M(size, 0), M(command, 8), M(rule, 24), M(field, 28))

/* range.h */
LAYOUT(range, 40, M(size, 0), M(iova, 8), M(length, 16), M(granule, 24),
       M(asid, 32), M(all_asids, 34), M(level, 35), M(leaf, 36),
       M(reserved, 37))
LAYOUT(atc_range, 40, M(size, 0), M(address, 8), M(length, 16), M(sid, 24),
       M(ssid, 28), M(ssv, 32), M(global, 33), M(reserved, 34))

/* cd.h */
LAYOUT(cd, 16, M(size, 0), M(asid, 8), M(valid, 10), M(walks, 11), M(tg, 13),
       M(reserved, 15))

/* ste.h */
LAYOUT(ste, 48, M(size, 0), M(vste, 8), M(s1contextptr, 24), M(config, 32),
       M(rule, 36), M(s1fmt, 40), M(s1cdmax, 41), M(s1dss, 42), M(ats, 43),
       M(reserved, 44))

/* backend.h */
LAYOUT(device_info, 64, M(size, 0), M(hw, 8), M(capabilities, 48),
       M(max_pasid_log2, 56), M(reserved, 60))
LAYOUT(backend_ops, 40, M(size, 0), M(device_info, 8), M(vdevice_alloc, 16),
       M(destroy, 24), M(invalidate, 32))

/* stream.h */
LAYOUT(stream_params, 24, M(size, 0), M(viommu_id, 8), M(dev_id, 12),
       M(vsid, 16), M(ats, 20), M(reserved, 21))
LAYOUT(stream_info, 48, M(size, 0), M(vsid, 8), M(viommu_id, 12), M(dev_id, 16),
       M(vdevice_id, 20), M(forwarded, 24), M(dropped, 32), M(translates, 40),
       M(ats, 41), M(reserved, 42))

/* vsmmu.h */
LAYOUT(trace, 40, M(size, 0), M(viommu_id, 8), M(guest_count, 12), M(guest, 16),
       M(host, 24), M(host_count, 32), M(error, 36))
LAYOUT(vsmmu_params, 104, M(size, 0), M(backend, 8), M(viommu_id, 16),
       M(check_flags, 20), M(guest, 24), M(host, 48), M(hw_flags, 72),
       M(repeat, 76), M(plan, 80), M(pages_max, 84), M(trace, 88),
       M(trace_opaque, 96))
LAYOUT(viommu_params, 40, M(size, 0), M(viommu_id, 8), M(hw_flags, 12),
       M(host, 16))

/* batch.h */
LAYOUT(result, 64, M(size, 0), M(error, 8), M(completed, 12),
       M(fault_index, 16), M(cerror, 20), M(rule, 24), M(field, 28),
       M(sent, 32), M(dropped, 36), M(host_error, 40), M(host_count, 44),
       M(host_commands, 48), M(ioctls, 52), M(fault_vsid, 56),
       M(fault_viommu, 60))

/* counters.h */
LAYOUT(counters, 1696, M(size, 0), M(read, 8), M(forwarded, 16), M(merged, 24),
       M(dropped, 32), M(vmm, 40), M(illegal, 48), M(host_commands, 56),
       M(ioctls, 64), M(failed, 72), M(retries, 80), M(repeats, 88),
       M(by_opcode, 96), M(by_rule, 1120), M(stops, 1632))

/* state.h */
LAYOUT(state_info, 56, M(size, 0), M(rule, 8), M(lacking, 12), M(vsid, 16),
       M(guest, 20), M(check_flags, 44), M(streams, 48), M(reserved, 52))
LAYOUT(state_stream, 16, M(size, 0), M(vsid, 8), M(translates, 12), M(ats, 13),
       M(reserved, 14))

/* queue.h */
LAYOUT(sync, 24, M(msi_address, 0), M(msi_data, 8), M(msi_shareability, 12),
       M(msi_attributes, 13), M(msi, 14), M(irq, 15), M(sev, 16),
       M(reserved, 17))
LAYOUT(queue_ops, 64, M(size, 0), M(read, 8), M(cfgi_ste, 16),
       M(cfgi_ste_range, 24), M(sync, 32), M(command, 40), M(cfgi_cd, 48),
       M(seen, 56))
LAYOUT(queue_params, 32, M(size, 0), M(ops, 8), M(opaque, 16), M(window, 24),
       M(reserved, 28))
LAYOUT(progress, 64, M(size, 0), M(cons, 8), M(cerror, 12), M(rule, 16),
       M(field, 20), M(consumed, 24), M(forwarded, 28), M(vmm, 32),
       M(dropped, 36), M(host_error, 40), M(host_count, 44),
       M(host_commands, 48), M(ioctls, 52), M(fault_vsid, 56),
       M(fault_viommu, 60))
LAYOUT(ring, 32, M(size, 0), M(base, 8), M(log2size, 16), M(prod, 20),
       M(cons, 24), M(max_commands, 28))

/* caches.h */
LAYOUT(cache_entry, 48, M(size, 0), M(kind, 8), M(asid, 12), M(tg, 14),
       M(level, 15), M(address, 16), M(length, 24), M(sid, 32), M(ssid, 36),
       M(ssids, 40), M(global, 44), M(ssv, 45), M(reserved, 46))

/* mock.h */
LAYOUT(mock_params, 48, M(size, 0), M(host, 8), M(caches, 32), M(kernel, 40),
       M(reserved, 44))
LAYOUT(mock_fault, 40, M(size, 0), M(call, 8), M(pass, 12), M(error, 16),
       M(executed, 20), M(count, 24), M(delay_us, 28), M(vsid, 32),
       M(vanish, 36), M(reserved, 37))

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(tag) cmocka_unit_test(layout_of_##tag)
		T(command),     T(tlbi),          T(atc),
		T(features),    T(hw_info),       T(offer),
		T(finding),     T(range),         T(atc_range),
		T(cd),          T(ste),           T(device_info),
		T(backend_ops), T(stream_params), T(stream_info),
		T(trace),       T(vsmmu_params),  T(viommu_params),
		T(state_info),  T(state_stream),  T(sync),
		T(queue_ops),   T(queue_params),  T(ring),
		T(result),      T(progress),      T(counters),
		T(cache_entry), T(mock_params),   T(mock_fault),
#undef T
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
