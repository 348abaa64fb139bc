/* SPDX-License-Identifier: Apache-2.0 */
/* The public header of base/: result codes, cursor and sink, secrets. See base/README.md. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include "base/cursor.h"
#include "base/rc.h"
#include "base/secret.h"
#include "base/shared.h"

#endif
