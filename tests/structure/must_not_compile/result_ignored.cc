#include "base/result.h"

ration::Result<int> answer();
void ask() { answer(); }
