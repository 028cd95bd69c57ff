/* SPDX-License-Identifier: MIT */
/*
 * The structures of the public headers as release 0.1 has them: where each
 * member is, with nothing between two of them or after the last. Padding would
 * be a trap: a member that is put there later changes no size, so what an old
 * caller has left there cannot be told from a new caller's wish.
 *
 * A layout that is written here may change in no way but one: the structure
 * grows at its end, or what is reserved gets a name.
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
LAYOUT(offer, 24, M(size, 0), M(stall_max, 8), M(ril, 10), M(ats, 11),
       M(asid16, 12), M(stall, 13), M(ds, 14), M(msi, 15), M(sev, 16),
       M(ssid_bits, 17), M(sid_bits, 18), M(cmdq_bits, 19), M(eventq_bits, 20),
       M(granules, 21), M(address_bits, 22), M(reserved, 23))
LAYOUT(compatibility, 104, M(size, 0), M(carriage, 8))

/* check.h */
LAYOUT(finding, 32, M(size, 0), M(command, 8), M(rule, 24), M(field, 28))

/* ste.h */
LAYOUT(ste, 48, M(size, 0), M(vste, 8), M(s1contextptr, 24), M(config, 32),
       M(rule, 36), M(s1fmt, 40), M(s1cdmax, 41), M(s1dss, 42), M(ats, 43),
       M(lacking, 44))

/* backend.h */
LAYOUT(device_info, 64, M(size, 0), M(hw, 8), M(capabilities, 48),
       M(max_pasid_log2, 56), M(reserved, 60))
LAYOUT(backend_ops, 48, M(size, 0), M(device_info, 8), M(vdevice_alloc, 16),
       M(destroy, 24), M(invalidate, 32), M(release, 40))

/* stream.h */
LAYOUT(stream_params, 24, M(size, 0), M(vsid, 8), M(viommu_id, 12),
       M(vdevice_id, 16), M(dev_id, 20))
LAYOUT(stream_info, 32, M(size, 0), M(vsid, 8), M(viommu_id, 12),
       M(vdevice_id, 16), M(dev_id, 20), M(ats, 24), M(owes, 25), M(made, 26),
       M(reserved, 27))

/* vsmmu.h */
LAYOUT(fault, 32, M(vsid, 0), M(viommu_id, 8), M(source, 12), M(error, 16),
       M(callback, 20), M(rule, 24), M(field, 28))
LAYOUT(result, 80, M(size, 0), M(fault, 8), M(completed, 40),
       M(fault_index, 44), M(cerror, 48), M(forwarded, 52), M(dropped, 56),
       M(host_commands, 60), M(ioctls, 64), M(retries, 68), M(timeouts, 72),
       M(replaced, 76))
LAYOUT(vsmmu_params, 88, M(size, 0), M(backend, 8), M(viommu_id, 16),
       M(hw_flags, 20), M(guest, 24), M(host, 48), M(plan, 72),
       M(pages_max, 76), M(retries_max, 80), M(timeouts_max, 84))
LAYOUT(viommu_params, 40, M(size, 0), M(viommu_id, 8), M(hw_flags, 12),
       M(host, 16))
LAYOUT(counters, 112, M(size, 0), M(read, 8), M(forwarded, 16), M(merged, 24),
       M(dropped, 32), M(vmm, 40), M(illegal, 48), M(host_commands, 56),
       M(ioctls, 64), M(failed, 72), M(retries, 80), M(timeouts, 88),
       M(replaced, 96), M(repeats, 104))

/* queue.h */
LAYOUT(sync, 24, M(msi_address, 0), M(msi_data, 8), M(msi_shareability, 12),
       M(msi_attributes, 13), M(msi, 14), M(irq, 15), M(sev, 16),
       M(reserved, 17))
LAYOUT(queue_ops, 56, M(size, 0), M(read, 8), M(cfgi_ste, 16),
       M(cfgi_ste_range, 24), M(sync, 32), M(command, 40), M(settled, 48))
LAYOUT(queue_params, 32, M(size, 0), M(ops, 8), M(opaque, 16), M(window, 24),
       M(work_max, 28))
LAYOUT(ring, 40, M(size, 0), M(base, 8), M(opaque, 16), M(log2size, 24),
       M(prod, 28), M(cons, 32), M(max_commands, 36))
LAYOUT(progress, 88, M(size, 0), M(fault, 8), M(cons, 40), M(cerror, 44),
       M(consumed, 48), M(forwarded, 52), M(vmm, 56), M(dropped, 60),
       M(more, 64), M(host_commands, 68), M(ioctls, 72), M(retries, 76),
       M(timeouts, 80), M(replaced, 84))

/* caches.h */
LAYOUT(cache_entry, 48, M(size, 0), M(kind, 8), M(asid, 12), M(tg, 14),
       M(level, 15), M(address, 16), M(length, 24), M(sid, 32), M(ssid, 36),
       M(ssids, 40), M(global, 44), M(ssv, 45), M(reserved, 46))

/* mock.h */
LAYOUT(mock_params, 48, M(size, 0), M(host, 8), M(caches, 32), M(kernel, 40),
       M(reserved, 44))
LAYOUT(mock_record, 24, M(command, 0), M(viommu_id, 16), M(call, 20))
LAYOUT(mock_fault, 48, M(size, 0), M(call, 8), M(viommu_id, 12), M(pass, 16),
       M(error, 20), M(executed, 24), M(count, 28), M(delay_us, 32),
       M(vsid, 36), M(opcode, 40), M(late, 41), M(vanish, 42), M(reserved, 43))

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(tag) cmocka_unit_test(layout_of_##tag)
		T(command),       T(tlbi),          T(atc),
		T(compatibility), T(features),      T(hw_info),
		T(offer),         T(finding),       T(ste),
		T(device_info),   T(backend_ops),   T(stream_params),
		T(stream_info),   T(fault),         T(result),
		T(vsmmu_params),  T(viommu_params), T(counters),
		T(sync),          T(queue_ops),     T(queue_params),
		T(ring),          T(progress),      T(cache_entry),
		T(mock_params),   T(mock_record),   T(mock_fault),
#undef T
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
