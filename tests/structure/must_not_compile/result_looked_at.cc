#include "base/result.h"

ration::Result<int> answer();
bool ask() { return answer().has_value(); }
