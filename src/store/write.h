#pragma once

// How every call of Writer changes the database; private to the room.

#include "store/database.h"
#include "store/lock.h"
#include "store/writer.h"

namespace ration::store {

template <class Body>
Result<std::invoke_result_t<Body>> Writer::write(Body body, bool durable) {
  return guarded([&]() -> std::invoke_result_t<Body> {
    if (rebuild_ != nullptr) return body();
    Transaction transaction(*database_, durable);
    lock_->require_lease(*database_);
    if constexpr (std::is_void_v<std::invoke_result_t<Body>>) {
      body();
      transaction.commit();
    } else {
      auto value = body();
      transaction.commit();
      return value;
    }
  });
}

}  // namespace ration::store
