#include "study/region/world.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "base/hash.h"
#include "base/random.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors_writer.h"
#include "data/manifest.h"
#include "run/count.h"

namespace ration::study::test {
namespace {

// Of a model of the world's sweeps, whose weights these files are.
std::size_t dimension() {
  run::RunSpec spec;
  spec.layers = 1;
  spec.width = 2;
  spec.heads = 1;
  spec.vocab = 257;
  return static_cast<std::size_t>(run::count_params(run::resolve(spec)).total);
}

std::uint64_t number_of(const std::string& text) {
  return std::stoull(sha256_hex(text).substr(0, 15), nullptr, 16);
}

// A vector of its name, `size` long in each coordinate.
Vector direction(const std::string& name, double size) {
  Stream stream(number_of(name), StreamId::init);
  Vector v(dimension());
  for (double& x : v) x = size * stream.normal();
  return v;
}

Vector sum(Vector a, const Vector& b, double factor = 1) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += factor * b[i];
  return a;
}

const std::map<std::string, std::string>& families() {
  static const std::map<std::string, std::string> all = {
      {"legal", "prose"}, {"essays", "prose"}, {"pystd", "code"}, {"boost", "code"}};
  return all;
}

void prepare(const Path& folder, const std::string& name) {
  const std::string digest = sha256_hex(name);
  data::Manifest manifest{.tokenizer = "bytes",
                          .vocab = 257,
                          .end_token = 256,
                          .train = {100'000, 10, digest, digest},
                          .val = {10'000, 10, digest, digest},
                          .train_text_bytes = 100'000,
                          .val_text_bytes = 10'000};
  manifest.digest = data::manifest_digest(manifest);
  EXPECT_TRUE(real_files().make_folders(folder / name));
  EXPECT_TRUE(real_files().write_whole(folder / name / "manifest.json",
                                       data::manifest_text(manifest).value()));
}

// Two numbers of the vector in a gain, the rest in a matrix.
void write(const Path& path, const Vector& theta) {
  using checkpoint::DType;
  std::vector<checkpoint::TensorInfo> layout = {
      {.name = "h0.ln1.g", .dtype = DType::f64, .shape = {2}},
      {.name = "h0.mlp.up.w", .dtype = DType::f64, .shape = {theta.size() - 2}}};
  auto writer = checkpoint::SafetensorsWriter::create(real_files(), path, layout, {});
  ASSERT_TRUE(writer) << writer.error().describe();
  ASSERT_TRUE(writer->append(std::as_bytes(std::span(theta))));
  ASSERT_TRUE(writer->finish());
}

Vector read(const Path& path) {
  const auto file = checkpoint::Checkpoint::open(real_files(), path);
  EXPECT_TRUE(file) << file.error().describe();
  Vector theta;
  for (const checkpoint::TensorInfo& tensor : file->tensors()) {
    const std::span<const std::byte> bytes = file->bytes(tensor);
    Vector part(bytes.size() / sizeof(double));
    std::memcpy(part.data(), bytes.data(), bytes.size());
    theta.insert(theta.end(), part.begin(), part.end());
  }
  return theta;
}

}  // namespace

RegionWorld::RegionWorld(const WorldOptions& options) : options_(options), dimension_(dimension()) {
  prepare(folder_.path(), "mix");
  for (const std::string& corpus : corpora()) {
    prepare(folder_.path(), corpus);
    Vector optimum = direction("common", options.common);
    optimum = sum(optimum, direction(families().at(corpus), options.family));
    optimum_[corpus] = sum(optimum, direction(corpus, options.own));
  }
}

const std::vector<std::string>& RegionWorld::corpora() {
  static const std::vector<std::string> all = {"legal", "essays", "pystd", "boost"};
  return all;
}

scheduler::Sweep RegionWorld::sweep(const std::string& region) const {
  std::string text =
      "name = 'world'\ndata = 'mix'\n[fixed]\nwidth = 2\nheads = 1\nlayers = 1\n" + region;
  const auto block =
      [&](const std::string& name, const std::string& data, int seeds, const std::string& rest) {
        text += fmt::format(
            "[[block]]\nname = '{}'\ndata = '{}'\nseeds = {}\n{}", name, data, seeds, rest);
      };
  block("base", "mix", 1, "[block.fixed]\ntokens = 6400\n");
  block("base-2", "mix", 1, "[block.fixed]\ntokens = 6400\nlr = 1e-3\n");
  const std::string tuned = "[block.fixed]\ntokens = 1280\ninit = 'block:base'\n";
  for (const std::string& corpus : corpora()) block("tuned-" + corpus, corpus, 3, tuned);
  for (const char* corpus : {"legal", "essays"})
    block(std::string("second-") + corpus,
          corpus,
          2,
          "[block.fixed]\ntokens = 1280\ninit = 'block:base-2'\n");
  for (const char* corpus : {"legal", "boost"})
    block(std::string("amounts-") + corpus,
          corpus,
          1,
          tuned + "[block.grid]\nunique_tokens = [640, 1280, 2560]\n");
  auto sweep = scheduler::read_sweep(text, (folder_ / "world.toml").string());
  EXPECT_TRUE(sweep) << sweep.error().describe();
  return std::move(*sweep);
}

std::vector<Model> RegionWorld::models(const std::string& region) const {
  auto models = models_of(sweep(region), real_files());
  EXPECT_TRUE(models) << models.error().describe();
  return std::move(*models);
}

double RegionWorld::loss(const Vector& theta, const std::string& corpus) const {
  double square = 0;
  for (std::size_t i = 0; i < dimension_; ++i) {
    const double away = theta[i] - optimum_.at(corpus)[i];
    square += away * away;
  }
  return 1 + square / static_cast<double>(dimension_);
}

// From where it began nine tenths of the way, or less with fewer tokens; a second start's world is
// turned, so that its directions have nothing in common with the first's.
Vector RegionWorld::trained_vector(const Model& model, const Vector& start) const {
  const double share = model.spec.tokens >= 1280 ? 0.9 : 0.5;
  Vector goal = optimum_.at(model.corpus);
  if (model.block.starts_with("second"))
    goal = sum(start, direction("second-" + model.corpus, options_.own));
  Vector theta = sum(start, sum(goal, start, -1), share);
  const std::string seed =
      model.block.empty() ? fmt::format("tuned {} {}", model.corpus, model.spec.seed) : model.run;
  return sum(theta, direction(seed, options_.noise));
}

Result<void> RegionWorld::train(const std::vector<Model>& models) {
  // Models stand before the starts that they need as well as after them.
  const std::function<const Vector&(const Model&)> make = [&](const Model& model) -> const Vector& {
    if (const auto found = theta_.find(model.run); found != theta_.end()) return found->second;
    ++trained;
    Vector theta = direction(model.block, 1);  // a start
    if (model.start) {
      const Vector* start = nullptr;
      if (!model.start->sha256.empty()) {
        Vector& from = by_sha_[model.start->sha256];
        if (from.empty()) from = read(model.execution.init_file);
        start = &from;
      }
      for (const Model& other : models)
        if (other.run == model.start->run) start = &make(other);
      if (start == nullptr) start = &theta_.at(model.start->run);
      theta = trained_vector(model, *start);
    }
    if (!model.block.empty()) write(file_of(model.run), theta);  // else nobody reads it
    return theta_[model.run] = theta;
  };
  for (const Model& model : models) make(model);
  return {};
}

Result<std::vector<eval::PointLoss>> RegionWorld::evaluate(const run::PointList& list) {
  const auto parsed = run::parse_points(run::points_text(list), "list");
  EXPECT_TRUE(parsed) << parsed.error().describe();
  std::vector<eval::PointLoss> losses;
  for (const run::Point& point : list.points) {
    ++evaluations;
    Vector theta(dimension_, 0);
    for (std::size_t i = 0; i < point.recipe.at("models").size(); ++i) {
      const std::string name = point.recipe.at("models")[i];
      const run::Weights& weights = list.models.at(name);
      if (weights.run.empty() && !by_sha_.contains(weights.sha256))
        by_sha_[weights.sha256] = read(list.files.at(name));
      theta = sum(theta,
                  weights.run.empty() ? by_sha_.at(weights.sha256) : theta_.at(weights.run),
                  point.recipe.at("weights")[i]);
    }
    std::vector<std::size_t> corpora = point.corpora;
    for (std::size_t i = 0; point.corpora.empty() && i < list.corpora.size(); ++i)
      corpora.push_back(i);
    for (const std::size_t corpus : corpora) {
      const std::string& name = list.corpora[corpus].name;
      losses.push_back({.point = point.name,
                        .corpus = name,
                        .loss = loss(theta, name.substr(0, name.find(' '))),
                        .tokens = 64});
    }
  }
  return losses;
}

RegionWork RegionWorld::work() {
  return {.evaluate =
              [this](const Model&, const run::PointList& list, const std::string&, std::size_t) {
                return evaluate(list);
              },
          .train =
              [this](const scheduler::Sweep& sweep) {
                return train(models_of(sweep, real_files()).value());
              },
          .weights_of = [this](const Model& model) -> Result<Path> { return file_of(model.run); }};
}

}  // namespace ration::study::test
