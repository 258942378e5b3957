#pragma once

// What a fusion is: the table [fuse] of a sweep file (docs/fusing.md), without any bytes.
//
//   Result<Config> config = parse_config(sweep.study->table, sweep.file);
//   [fuse]
//   base = "block:broad"
//   rounds = 8
//   [fuse.fixed]                      # settings of runs, for all contributors
//   tokens = "100Ktok"
//   [[fuse.contributor]]
//   id = "prose"
//   data = "data/prose"
//
// theta_r is the base of round r; a contributor c trains theta_r^c from it; tau_c = theta_r^c -
// theta_r.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "base/result.h"
#include "merge/recipe.h"

namespace ration::fuse {

enum class Mode { sync, async };
enum class Weighting { given, uniform, tokens, inverse_loss };
enum class Stall { wait, extend, fuse_anyway, abort };
enum class Late { drop, next, log };
enum class Check { format, norm, direction, probe, leave_one_out };

// What an experiment does to the contributions of one contributor, after they were trained.
struct Fault {
  enum class Kind { fail, scale, flip, random };
  Kind kind = Kind::fail;
  double value = 1;  // fail: share of its contributions that never arrive, 0 … 1; scale: factor of
                     // tau; random: norm of the random tau over that of the true one
  bool operator==(const Fault&) const = default;
};

struct Contributor {
  std::string id;    // [A-Za-z0-9][A-Za-z0-9_.-]{0,63}; sums are in byte-wise order of id
  std::string data;  // prepared data, as written; empty for an external one
  Json settings = Json::object();  // of its runs, an object that overrides Config::fixed
  double weight = 1;               // w_c, above 0
  bool external = false;           // its models come by `ration fuse submit`
  std::int64_t tokens = 0;         // external: what it says it trained on, for weights = "tokens"
};

struct Config {
  std::string base;  // "block:NAME", "run:ID[@STEP]", "file:PATH"; theta_0
  Mode mode = Mode::sync;
  std::int64_t rounds = 8;  // 1 … 10000; async: each contributor_per_round arrivals
  std::int64_t contributors_per_round = 0;  // seeded sample without replacement; 0 = all
  std::uint64_t seed = 0;                   // of the sample, the contributors' runs, and faults

  // The recipe that joins the contributions, its models and base being theirs; `op = "mean"` or any
  // method of merge/recipe.h with its members, and "median", "trimmed_mean".
  merge::Recipe op;
  bool clip = false;    // tau_c *= min(1, N / |tau_c|), N = the median norm of the round
  double eta = 1;       // outer step, above 0; theta += eta v
  double momentum = 0;  // mu, 0 … below 1; v <- mu v + Fuse
  Weighting weights = Weighting::given;

  double quorum = 0.5;    // share of the round's contributors that must be in, above 0 … 1
  double deadline_s = 0;  // of a round, from its start; 0 = none
  Stall on_stall = Stall::wait;
  std::int64_t max_retries = 2;  // of a contributor's run, with its own seed
  Late late = Late::drop;
  double gamma = 0.5;              // 0 … 1: weight of a contribution s rounds old, times gamma^s
  std::int64_t staleness_max = 4;  // rounds; older ones are refused

  std::vector<Check> screen = {Check::format, Check::norm};  // and `probe` where there are probes
  double norm_z = 3.5;       // robust z of log |tau| beyond which a contribution is refused
  double norm_near = 2;      // but never one within this factor of the median
  double norm_ratio = 10;    // where all others are equal: the factor beyond which it is refused
  double norm_max = 1;       // |tau| / |theta_r|, with fewer than 5 norms
  double cosine_min = -0.5;  // mean cosine to the others, together with a norm above the median
  std::vector<std::string> probe;   // folders of prepared data, as written
  std::int64_t probe_windows = 64;  // of each
  double probe_slack = 0.2;  // nats that a contribution may lose on the probe beyond the median one
  double probe_z = 3;        // and paired standard errors
  bool rollback = false;     // default: true where there are probes

  Json fixed = Json::object();            // settings of runs, for all contributors
  std::vector<Contributor> contributors;  // in byte-wise order of id
  std::map<std::string, Fault> faults;    // by contributor; "*" = all that are not named

  bool asks(Check check) const;
  // q: the fewest contributions of n that are fused.
  std::int64_t least(std::int64_t n) const;
};

// Reads the table. `where` (the file) stands in front of messages. Keys `evaluate`, `controls` and
// `arm` are left to who reads them. All problems together, ErrorKind::usage: unknown keys with the
// nearest known one, values out of range, ids that repeat, faults of unknown contributors, and
// settings that have no effect beside the others.
Result<Config> parse_config(const Json& table, const std::string& where);
// What to_json() wrote, of a fusion that was begun: settings without effect stay as they are.
Result<Config> stored_config(const Json& table, const std::string& where);

// As fusion.json keeps it.
Json to_json(const Config& config);

// The contributors of a round, from 0, as places in Config::contributors, ascending: all, or
// contributors_per_round of them by Stream(seed, StreamId::contributors, round).
std::vector<std::size_t> chosen(const Config& config, std::int64_t round);

// Whether the operator is a weighted one; the robust ones look at the values alone.
bool takes_weights(const Config& config);

const char* name(Mode mode);
const char* name(Weighting weighting);
const char* name(Stall stall);
const char* name(Late late);
const char* name(Check check);

}  // namespace ration::fuse
