#include "store/database.h"
#include "store/store.h"

namespace ration::store {

Result<std::vector<Evaluation>> Reader::evaluations(std::string_view run,
                                                    std::int64_t after_step) const {
  return guarded([&] {
    Statement rows = database_->prepare(
        "SELECT step, tokens, loss_nats FROM v_losses WHERE run = ? AND step > ? AND loss_nats IS "
        "NOT NULL ORDER BY step");
    std::vector<Evaluation> found;
    for (rows.bind(std::string(run), after_step); rows.step();)
      found.push_back({.step = rows.integer(0), .tokens = rows.real(1), .loss = rows.real(2)});
    return found;
  });
}

}  // namespace ration::store
