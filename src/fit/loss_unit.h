#pragma once

// Units that losses arrive in. Laws are fitted to nats a token:
//   bits            loss = value ln 2
//   nats per byte   loss = value (bytes a token)
//   bits per byte   loss = value ln 2 (bytes a token)
//   perplexity      loss = ln value

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace ration::fit {

enum class LossUnit { nats, bits, nats_per_byte, bits_per_byte, perplexity };

// "nats", "bits", "nats-per-byte", "bits-per-byte", "perplexity": as options spell them.
std::string_view name_of(LossUnit unit);

// What the name of a column or a cell says: "val_ppl" a perplexity, "eval/bits_per_byte" or "bpb"
// bits per byte, "nats/token" nats; nothing where it says nothing.
std::optional<LossUnit> loss_unit_in(std::string_view text);

// No loss in nats of a model that learned anything is above this: ln of 440,000, more words than
// any vocabulary in use has.
inline constexpr double kHighestNats = 13;

// Above this, a final loss twice as high as all others is suspected to be a perplexity. Runs that
// overfit get there too (11 in published ones), but with others on the way; early checkpoints stand
// at ln(vocabulary), about 11, so that among those only kHighestNats tells.
inline constexpr double kHighestFinal = 6.5;

// Places of values that are perplexities among nats: they lie above `floor`, at least twice as high
// as the rest, and their logarithms lie where the rest does (2/3 of its lowest to 3/2 of its
// highest). Empty where no such split exists.
std::vector<std::size_t> perplexities_among(std::span<const double> losses,
                                            double floor = kHighestNats);

}  // namespace ration::fit
