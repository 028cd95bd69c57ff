/* SPDX-License-Identifier: MIT */
/*
 * All of libsmmuinv. Each header also stands alone.
 *
 * Rules that hold for every function, unless its own text says otherwise:
 *
 *  - Errors. A function returns 0 or a count, or a negative errno value. What
 *    the guest is to see is an enum smmuinv_cerror, never an errno. On error
 *    no output parameter is written.
 *  - Ownership. What a *_new() function gives belongs to the caller until the
 *    matching *_free(), which accepts NULL. Pointers passed in are borrowed
 *    for the call, unless the text says for how long.
 *  - NULL. Passing NULL where the text does not allow it is -EINVAL for
 *    functions that can fail, and undefined for those that cannot.
 *  - Parameter structures start with their size. Set it to sizeof the structure
 *    as compiled, and set the rest to zero where you have no wish. A structure
 *    of a newer header is accepted as long as its unknown tail is zero. No
 *    structure has padding: what would be is a member named reserved. It must
 *    be zero in what is handed in, or the answer is -EINVAL, and it is zero in
 *    what the library fills in, so a later release can give it a meaning.
 *  - Threads. Pure functions (command, features, check, range, cd, ste)
 *    may be called from anywhere. A batch or a queue belongs to one thread at a time.
 *    Stream tables may be used from any thread.
 *  - System calls. Once a batch or a queue is made, using it makes no system
 *    call but ioctl(), and futex() where a stream comes or goes meanwhile.
 *  - The library prints nothing, exits never, keeps no global state, starts no
 *    thread and handles no signal.
 */
#ifndef SMMUINV_SMMUINV_H
#define SMMUINV_SMMUINV_H

#include <smmuinv/abi.h>
#include <smmuinv/command.h>
#include <smmuinv/features.h>
#include <smmuinv/check.h>
#include <smmuinv/range.h>
#include <smmuinv/cd.h>
#include <smmuinv/ste.h>
#include <smmuinv/backend.h>
#include <smmuinv/iommufd.h>
#include <smmuinv/stream.h>
#include <smmuinv/vsmmu.h>
#include <smmuinv/counters.h>
#include <smmuinv/invalidate.h>
#include <smmuinv/state.h>
#include <smmuinv/batch.h>
#include <smmuinv/queue.h>

#endif /* SMMUINV_SMMUINV_H */
