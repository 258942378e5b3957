#include "cli/terminal_text.h"

namespace ration::cli {

std::string without_control_bytes(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool usual = byte == '\n' || byte == '\t' || byte == '\r';
    // U+0080 to U+009F: what terminals take for ESC and a letter.
    const bool c1 =
        byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c1) {
      safe += "^[";
      safe += static_cast<char>(static_cast<unsigned char>(text[++i]) - 0x40);
    } else if ((byte < 0x20 && !usual) || byte == 0x7F) {
      safe += '^';
      safe += static_cast<char>(byte ^ 0x40U);
    } else {
      safe += text[i];
    }
  }
  return safe;
}

}  // namespace ration::cli
