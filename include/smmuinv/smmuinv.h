/* SPDX-License-Identifier: MIT */
/*
 * All of libsmmuinv. Each header also stands alone.
 *
 * Rules for every function, unless its own text says otherwise:
 *
 *  - Errors. A function returns 0 or a count, or a negative errno. What the
 *    guest has to see is an enum smmuinv_cerror, never an errno. On error no
 *    output parameter is written, except a result, a progress, a finding, and
 *    what is lacking.
 *  - Ownership. What a *_new() function makes belongs to the caller until the
 *    matching *_free(), which accepts NULL. Pointers passed in are borrowed
 *    until the call returns, unless the text names a longer time.
 *  - NULL. If the text does not allow NULL, a function that can fail returns
 *    -EINVAL for it. A function that cannot fail has undefined behaviour.
 *  - Parameter structures start with their size. Set it to sizeof the
 *    structure. Zero members select the default. A structure of a newer header
 *    is accepted if its unknown tail is zero. No structure has padding: it has
 *    a member named reserved instead. Set it to zero, or the function returns
 *    -EINVAL. The library sets it to zero in what it fills in.
 *  - Enums are passed and stored as uint32_t.
 *  - Threads. Pure functions (command, features, check, ste) may be called from
 *    anywhere. A batch or a queue belongs to one thread at a time. A virtual
 *    SMMU may be used from any thread.
 *  - System calls. Once a batch or a queue is made, using it makes only two
 *    kinds of system call: ioctl(), and futex() for a lock.
 *  - The library prints nothing, never exits, keeps no global state, starts no
 *    thread and handles no signal.
 */
#ifndef SMMUINV_SMMUINV_H
#define SMMUINV_SMMUINV_H

#include <smmuinv/abi.h>
#include <smmuinv/command.h>
#include <smmuinv/features.h>
#include <smmuinv/check.h>
#include <smmuinv/ste.h>
#include <smmuinv/backend.h>
#include <smmuinv/stream.h>
#include <smmuinv/vsmmu.h>
#include <smmuinv/batch.h>
#include <smmuinv/queue.h>

#endif /* SMMUINV_SMMUINV_H */
