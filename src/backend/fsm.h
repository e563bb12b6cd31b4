/* The room's state machines, for `holdfast debug fsm` and for the tests of their tables. */
#ifndef BACKEND_FSM_H
#define BACKEND_FSM_H

#include "base/fsm.h"

/* Is there a master to send to. */
extern const struct fsm backend_fsm;
/* One connection to it. */
extern const struct fsm wire_fsm;

#endif
