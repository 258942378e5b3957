#pragma once

// An n-gram model of token ids: interpolated modified Kneser-Ney.
//
//   NgramBuilder builder({.order = 5, .vocab = 4096, .end_token = 2});
//   builder.add(tokens_of_a_document);  // without the end token; it is added
//   NgramModel model = std::move(builder).build().value();
//   double nats = model.negative_log(tokens);  // of the document and its end
//
// The probability of a token after h is [c(h w) - D(c(h w))] / c(h ·) + γ(h) p(w | h without its
// first token), where c are counts at the highest order and after the start of a document, and
// otherwise numbers of different tokens before; below the single token is 1/V. For every h the
// probabilities of all V tokens add up to one.
//
// Memory: about 24 bytes for each different n-gram of each order, at most 0.7 full. Cost of
// scoring: one look-up for each order that matches, and one that does not.

#include <array>
#include <span>
#include <vector>

#include "base/files.h"

namespace ration::data::filter {

struct NgramShape {
  int order = 5;                  // tokens that a probability looks at, itself included; 1 … 8
  std::int64_t vocab = 257;       // ids are 0 … vocab-1; 1 … 2^31
  std::uint32_t end_token = 256;  // ends every document
};

class NgramModel {
 public:
  int order() const { return shape_.order; }
  const NgramShape& shape() const { return shape_; }

  // Nats of a document and of its end token: the sum of -ln p.
  double negative_log(std::span<const std::uint32_t> document) const;

  // p(token | the last order-1 tokens of history); the history begins a document when
  // `from_start`.
  double probability(std::span<const std::uint32_t> history,
                     std::uint32_t token,
                     bool from_start) const;

  // D for n-grams counted once, twice, and more often: [order-1][0…2]. Estimated from how many
  // n-grams have the counts 1 … 4; half of the count where that gives nothing between 0 and it.
  const std::vector<std::array<double, 3>>& discounts() const { return discounts_; }
  // Different n-grams of each order.
  std::vector<std::uint64_t> sizes() const;
  std::uint64_t memory_bytes() const;

  // The model as bytes that end in their SHA-256, and back. Error (ErrorKind::input): damaged, or
  // written by another version.
  std::string bytes() const;
  static Result<NgramModel> from_bytes(std::string_view bytes, const std::string& name);

 private:
  friend class NgramBuilder;

  // One n-gram: its context's place in the table below and its last token make the key, so that no
  // two n-grams share one.
  struct Entry {
    std::uint64_t key = 0;
    double probability = 0;
    double backoff = 1;  // γ of this n-gram as a context
  };
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  struct Table {
    std::vector<Entry> entries;                   // a power of two; empty entries have the key ~0
    std::uint32_t find(std::uint64_t key) const;  // its place, or kNone
    void insert(std::uint64_t key);               // a key that is not there yet
    std::uint64_t size() const;
  };
  static std::uint64_t key_of(std::uint32_t context, std::uint32_t token) {
    return std::uint64_t{context} << 32 | token;
  }
  // The places of the contexts of all lengths that end at the last token: [length - 1].
  using Contexts = std::array<std::uint32_t, 8>;
  double next(Contexts& contexts, std::uint32_t token) const;
  Contexts start() const;

  NgramShape shape_;
  std::vector<Entry> unigrams_;  // by token, with counts for keys; the last is a document's start
  std::vector<Table> tables_;    // orders 2 …
  std::vector<std::array<double, 3>> discounts_;  // by order
};

// Collects documents. Memory while building: 4 bytes a token, then 24 more, beside the model's.
class NgramBuilder {
 public:
  explicit NgramBuilder(NgramShape shape) : shape_(shape) {}

  void add(std::span<const std::uint32_t> document);
  // The order may depend on how much was added.
  void set_order(int order) { shape_.order = order; }
  std::uint64_t tokens() const { return text_.size() - documents_; }  // end tokens included

  // Errors: ErrorKind::usage (order, vocabulary), ErrorKind::input (no document, an id outside the
  // vocabulary, more than 2^32 - 2 tokens), ErrorKind::resource (memory allowed).
  Result<NgramModel> build(std::uint64_t memory_bytes = std::uint64_t{1} << 62) &&;

 private:
  NgramShape shape_;
  std::vector<std::uint32_t> text_;  // start, tokens, end token; start = vocab
  std::uint64_t documents_ = 0;
};

}  // namespace ration::data::filter
