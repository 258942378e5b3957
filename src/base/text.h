#pragma once

// Numbers with units as people type and read them, and the nearest known word for a typo.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ration {

// "10B", "300M", "1e21", "25Btok", "1e21flop", "1.5GiB", "2h30m" -> the number in the base unit.
// `unit` is the unit asked for: "tok", "flop", "params", "s", "B" (bytes), or "" for a plain
// number. K, M, B (or G), T, P, E are powers of 1000 (a B of bytes is a byte); KiB … of
// 1024. The unit may be left out; another unit is an error, and so is a number that is not finite.
Result<double> parse_quantity(std::string_view text, std::string_view unit);

// 1234567 -> "1.23M"; `digits` significant digits; magnitudes beyond T as 1.23e+21. With a unit:
// "1.23 Mtok".
std::string format_quantity(double value, std::string_view unit = "", int digits = 3);

// "1 level", "2 levels": for words whose plural takes an s.
std::string counted(std::size_t count, std::string_view word);

// 93784 -> "1d 2h", 75 -> "1m 15s", 2.5 -> "2.5s"; "unknown" unless finite.
std::string format_duration(double seconds);

// The known word nearest to `word`: at most two edits, and fewer than `word` has letters; or
// nothing.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known);

// `; did you mean "lr"?` or empty.
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

}  // namespace ration
