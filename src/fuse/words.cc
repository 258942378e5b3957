#include "fuse/words.h"

namespace ration::fuse {

template <>
const WordList<Mode>& list_of<Mode>() {
  static const WordList<Mode> all = {{Mode::sync, "sync"}, {Mode::async, "async"}};
  return all;
}

template <>
const WordList<Weighting>& list_of<Weighting>() {
  static const WordList<Weighting> all = {{Weighting::given, "given"},
                                          {Weighting::uniform, "uniform"},
                                          {Weighting::tokens, "tokens"},
                                          {Weighting::inverse_loss, "inverse_loss"}};
  return all;
}

template <>
const WordList<Stall>& list_of<Stall>() {
  static const WordList<Stall> all = {{Stall::wait, "wait"},
                                      {Stall::extend, "extend"},
                                      {Stall::fuse_anyway, "fuse_anyway"},
                                      {Stall::abort, "abort"}};
  return all;
}

template <>
const WordList<Late>& list_of<Late>() {
  static const WordList<Late> all = {
      {Late::drop, "drop"}, {Late::next, "next"}, {Late::log, "log"}};
  return all;
}

template <>
const WordList<Check>& list_of<Check>() {
  static const WordList<Check> all = {{Check::format, "format"},
                                      {Check::norm, "norm"},
                                      {Check::direction, "direction"},
                                      {Check::probe, "probe"},
                                      {Check::leave_one_out, "leave_one_out"}};
  return all;
}

template <>
const WordList<Fault::Kind>& list_of<Fault::Kind>() {
  static const WordList<Fault::Kind> all = {{Fault::Kind::fail, "fail"},
                                            {Fault::Kind::scale, "scale"},
                                            {Fault::Kind::flip, "flip"},
                                            {Fault::Kind::random, "random"}};
  return all;
}

template <>
const WordList<Verdict>& list_of<Verdict>() {
  static const WordList<Verdict> all = {{Verdict::accepted, "accepted"},
                                        {Verdict::rejected, "rejected"},
                                        {Verdict::absent, "absent"},
                                        {Verdict::late, "late"},
                                        {Verdict::superseded, "superseded"}};
  return all;
}

template <>
const WordList<RoundStatus>& list_of<RoundStatus>() {
  static const WordList<RoundStatus> all = {{RoundStatus::open, "open"},
                                            {RoundStatus::stalled, "stalled"},
                                            {RoundStatus::fused, "fused"},
                                            {RoundStatus::empty, "empty"},
                                            {RoundStatus::rolled_back, "rolled_back"},
                                            {RoundStatus::aborted, "aborted"}};
  return all;
}

const char* name(Mode mode) { return word(mode); }
const char* name(Weighting weighting) { return word(weighting); }
const char* name(Stall stall) { return word(stall); }
const char* name(Late late) { return word(late); }
const char* name(Check check) { return word(check); }
const char* name(Verdict verdict) { return word(verdict); }
const char* name(RoundStatus status) { return word(status); }

}  // namespace ration::fuse
