#include "scheduler/budget.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <vector>

#include "base/text.h"

namespace ration::scheduler {
namespace {

constexpr double kHour = 3600;

std::string flops_text(double flops) { return format_quantity(flops, "flop"); }
std::string hours_text(double hours) { return format_duration(kHour * hours); }
std::string cost_text(double cost) { return fmt::format("{:.4g}", cost); }

// One cap, with amounts in its own unit.
struct Account {
  const char* option;  // that sets it
  double most = 0;
  double used = 0;
  double next = 0;  // 0 = not known
  std::string (*text)(double) = nullptr;
};

std::vector<Account> accounts(const Caps& caps,
                              const store::Usage& used,
                              const store::Usage& next) {
  const double hours = used.seconds / kHour;
  const double more = next.seconds / kHour;
  const std::vector<Account> all = {
      {"--max-flops", caps.flops, used.flops, next.flops, flops_text},
      {"--max-hours", caps.hours, hours, more, hours_text},
      {"--max-cost", caps.cost, caps.price * hours, caps.price * more, cost_text}};
  std::vector<Account> capped;
  for (const Account& account : all)
    if (std::isfinite(account.most)) capped.push_back(account);
  return capped;
}

bool is_passed(const Account& account) {
  return account.used >= account.most || account.used + account.next > account.most;
}

}  // namespace

bool Caps::any() const {
  return std::isfinite(flops) || std::isfinite(hours) || std::isfinite(cost);
}

store::Usage expected(double flops, const store::Usage& used, double speed) {
  if (used.flops > 0 && used.seconds > 0) speed = used.flops / used.seconds;
  return {.flops = flops, .seconds = speed > 0 ? flops / speed : 0};
}

std::string passed(const Caps& caps, const store::Usage& used, const store::Usage& next) {
  for (const Account& account : accounts(caps, used, next))
    if (is_passed(account))
      return fmt::format(
          "{} of {} are used ({}), and the next run would take {}: raise it to go on",
          account.text(account.used),
          account.text(account.most),
          account.option,
          account.next > 0 ? "about " + account.text(account.next) : "an amount not known yet");
  return "";
}

std::string describe(const Caps& caps, const store::Usage& used, const store::Usage& next) {
  std::string lines;
  for (const Account& account : accounts(caps, used, next)) {
    const bool nothing = next.flops == 0;
    const bool known = account.next > 0 || nothing;
    const std::string to_do = nothing ? "nothing"
                              : known ? "about " + account.text(account.next)
                                      : "an unknown amount";
    lines += fmt::format("budget: {} used and {} to do of at most {} ({}): {}\n",
                         account.text(account.used),
                         to_do,
                         account.text(account.most),
                         account.option,
                         is_passed(account) && !nothing ? "not all of it fits"
                         : known                        ? "it fits"
                                                        : "whether it fits is not known yet");
  }
  return lines;
}

}  // namespace ration::scheduler
