/* SPDX-License-Identifier: MIT */
/*
 * What a virtual SMMU has to remember over a migration, as bytes.
 *
 * That is what the guest was shown, the streams with their states, and the
 * granules that were noted. Nothing is cached where the guest arrives, so what was
 * under way is not among it: a command that was not complete is still in the
 * guest's queue, or was carried for a CMD_SYNC that is (smmuinv_queue_reset()).
 *
 * Where the guest arrives: smmuinv_state_check() says whether it can be carried,
 * and what it was shown; smmuinv_vsmmu_new() makes that; the streams are added
 * with the devices that are there, and their nested page tables attached; and
 * smmuinv_state_restore() does the rest.
 */
#ifndef SMMUINV_STATE_H
#define SMMUINV_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/features.h>
#include <smmuinv/vsmmu.h>

SMMUINV_BEGIN_DECLS

/** enum smmuinv_state_rule - why a saved state is refused */
enum smmuinv_state_rule {
	SMMUINV_STATE_RULE_NONE = 0,
	SMMUINV_STATE_RULE_SHORT,	/* bytes are missing, or there are too many */
	SMMUINV_STATE_RULE_MAGIC,	/* it is something else */
	SMMUINV_STATE_RULE_VERSION,	/* not one that this library reads */
	SMMUINV_STATE_RULE_CHECKSUM,	/* it was changed on the way */
	SMMUINV_STATE_RULE_CONTENT,	/* a number is out of its range */
	SMMUINV_STATE_RULE_FEATURES,	/* the host lacks what the guest was shown */
	SMMUINV_STATE_RULE_GUEST,	/* the virtual SMMU shows something else */
	SMMUINV_STATE_RULE_STREAM,	/* a stream has not been added */
	SMMUINV_STATE_RULE_COUNT
};

/**
 * struct smmuinv_state_info - a saved state
 * @size: sizeof(struct smmuinv_state_info), set by the caller
 * @rule: why it is refused, enum smmuinv_state_rule
 * @lacking: with SMMUINV_STATE_RULE_FEATURES, enum smmuinv_feature
 * @vsid: with SMMUINV_STATE_RULE_STREAM, which
 * @guest: what the guest was shown
 * @check_flags: 0 or SMMUINV_CHECK_STRICT, which the guest can see
 * @streams: how many there are
 * @reserved: 0
 */
struct smmuinv_state_info {
	size_t size;
	uint32_t rule;
	uint32_t lacking;
	uint32_t vsid;
	struct smmuinv_features guest;
	uint32_t check_flags;
	uint32_t streams;
	uint32_t reserved;
};

/**
 * struct smmuinv_state_stream - one of its streams
 * @size: sizeof(struct smmuinv_state_stream), set by the caller
 * @vsid: StreamID as the guest knows it
 * @translates: as smmuinv_streams_set() was told
 * @ats: and whether its ATS was on
 * @reserved: 0
 */
struct smmuinv_state_stream {
	size_t size;
	uint32_t vsid;
	bool translates;
	bool ats;
	uint8_t reserved[2];
};

/**
 * smmuinv_state_save() - what there is to remember
 * @vsmmu: whose; its queues are not consuming
 * @bytes: where to; may be NULL if @capacity is 0
 * @capacity: how many bytes there are
 *
 * The format does not depend on the machine. Later versions of the library can
 * read it.
 *
 * Return: how many bytes it takes. Nothing is written if there are fewer. -EINVAL
 * for NULL.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int64_t smmuinv_state_save(struct smmuinv_vsmmu *vsmmu, void *bytes,
				       size_t capacity);

/**
 * smmuinv_state_check() - can it be restored here?
 * @bytes: from smmuinv_state_save(), perhaps through strangers' hands
 * @length: how many
 * @host: the SMMU that is to carry the guest; NULL not to ask
 * @info: what it is, or why it is refused
 *
 * Return: 0; -EINVAL for NULL or a wrong size; -EBADMSG if the bytes are no state
 * that this library can read; -EOPNOTSUPP if the host cannot carry the guest.
 * @info->rule says more.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_state_check(const void *bytes, size_t length,
				    const struct smmuinv_features *host,
				    struct smmuinv_state_info *info);

/**
 * smmuinv_state_stream() - one of the streams, in the order of the vSIDs
 * @bytes: what smmuinv_state_check() has accepted
 * @length: how many
 * @index: which, from 0
 * @stream: the stream
 *
 * Looks at the head of the bytes and at the one stream, and at nothing else.
 *
 * Return: 0; -EINVAL for NULL or a wrong size; -EBADMSG if it is no state, of
 * another version or of another length than it says; -ENOENT if there are not so
 * many.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_state_stream(const void *bytes, size_t length,
				     uint32_t index,
				     struct smmuinv_state_stream *stream);

/**
 * smmuinv_state_restore() - streams are as they were, and granules known
 * @vsmmu: shows the guest what it was shown, and has all the streams
 * @bytes: from smmuinv_state_save(), perhaps through strangers' hands
 * @length: how many
 * @info: why it is refused
 *
 * Return: 0; -EINVAL for NULL or a wrong size; -EBADMSG as smmuinv_state_check();
 * -EOPNOTSUPP if @vsmmu shows something else; -ENOENT if a stream has not been
 * added. @info->rule says more. On error @vsmmu is as it was.
 * Threads: any; no queue may be consuming. Since: 0.1.
 */
SMMUINV_API int smmuinv_state_restore(struct smmuinv_vsmmu *vsmmu,
				      const void *bytes, size_t length,
				      struct smmuinv_state_info *info);

/**
 * smmuinv_state_rule_text() - a rule in words
 * @rule: enum smmuinv_state_rule
 *
 * Return: a static string; "?" for a rule that does not exist.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API const char *smmuinv_state_rule_text(uint32_t rule);

SMMUINV_END_DECLS

#endif /* SMMUINV_STATE_H */
