#pragma once

#include <string>
#include <vector>

namespace ration::cli {

// Columns padded to equal width, two blanks between them; the first row is the heading. A column
// whose cells begin with a digit, a sign or are "-" stands to the right.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace ration::cli
