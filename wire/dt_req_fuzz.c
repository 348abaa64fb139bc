/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the reader of dt_req against its writer. */
#include <stdlib.h>

#include "tests/fake/roundtrip.h"

RT_FUZZ(dt_req)
