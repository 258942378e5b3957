#pragma once

// A run: what it is (spec), where it lives (folder), what it says (events) and what it counts
// (parameters, FLOPs). Both programs speak to each other through this room alone; docs/formats.md
// describes it for trainers in other languages.

#include "run/count.h"
#include "run/events.h"
#include "run/exit_codes.h"
#include "run/folder.h"
#include "run/spec.h"
