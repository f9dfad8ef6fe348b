//===- Profile.cpp - What ran when ----------------------------------------===//

#include "limosa/Runtime/Profile.h"
#include "Lowered.h"
#include "limosa/Runtime/AtomicFile.h"
#include "limosa/Runtime/Module.h"
#include "limosa/Schema/program_generated.h"

#include <algorithm>
#include <cstdio>
#include <set>

using namespace limosa;
using namespace limosa::runtime;

namespace {

void appendQuoted(std::string &Out, std::string_view Text) {
  Out += '"';
  for (char C : Text) {
    if (C == '"' || C == '\\') {
      Out += '\\';
      Out += C;
    } else if (uint8_t(C) < 0x20) {
      char Escape[8];
      std::snprintf(Escape, sizeof(Escape), "\\u%04x", unsigned(uint8_t(C)));
      Out += Escape;
    } else {
      Out += C;
    }
  }
  Out += '"';
}

/// Chrome's trace event format: times in microseconds.
class TraceWriter {
public:
  explicit TraceWriter(uint64_t Origin) : Origin(Origin) {}

  void track(uint32_t Id, const std::string &Name) {
    begin();
    Out += "{\"ph\":\"M\",\"pid\":1,\"tid\":" + std::to_string(Id) +
           ",\"name\":\"thread_name\",\"args\":{\"name\":";
    appendQuoted(Out, Name);
    Out += "}}";
  }
  void span(uint32_t Track, std::string_view Name, uint64_t Begin, uint64_t End,
            const std::string &Arguments = "") {
    begin();
    char Times[96];
    std::snprintf(Times, sizeof(Times), ",\"ts\":%.3f,\"dur\":%.3f,\"name\":",
                  double(Begin - Origin) * 1e-3,
                  double(End > Begin ? End - Begin : 0) * 1e-3);
    Out += "{\"ph\":\"X\",\"pid\":1,\"tid\":" + std::to_string(Track) + Times;
    appendQuoted(Out, Name);
    Out += ",\"args\":{" + Arguments + "}}";
  }
  std::string take() { return "{\"traceEvents\":[" + Out + "\n]}\n"; }

private:
  void begin() { Out += Out.empty() ? "\n" : ",\n"; }

  uint64_t Origin;
  std::string Out;
};

std::string describeLaunch(const fb::Kernel &K, const LaunchRecord &L) {
  std::string Out;
  auto Key = [&](const char *Name) {
    Out += Out.empty() ? "\"" : ",\"";
    Out += Name;
    Out += "\":";
  };
  auto Rate = [&](const char *Name, int64_t Amount) {
    if (Amount < 0 || L.End <= L.Begin)
      return;
    char Text[32];
    std::snprintf(Text, sizeof(Text), "%.2f",
                  double(Amount) / double(L.End - L.Begin));
    Key(Name);
    Out += Text;
  };
  if (K.template_()) {
    Key("template");
    appendQuoted(Out, K.template_()->string_view());
  }
  if (K.nodes() && K.nodes()->size()) {
    std::string Nodes;
    for (const flatbuffers::String *N : *K.nodes())
      Nodes += (Nodes.empty() ? "" : ", ") + N->str();
    Key("nodes");
    appendQuoted(Out, Nodes);
  }
  if (L.Flops >= 0) {
    Key("flops");
    Out += std::to_string(L.Flops);
  }
  if (L.Bytes >= 0) {
    Key("bytes");
    Out += std::to_string(L.Bytes);
  }
  Rate("GFLOP/s", L.Flops);
  Rate("GB/s", L.Bytes);
  return Out;
}

} // namespace

void Profile::event(const limosa_profile_event &Event) {
  Lanes.push_back({uint32_t(Event.tag), Event.lane, Event.begin, Event.end});
}

std::string Profile::toChromeTrace(const Module &M) const {
  TraceWriter Trace(Runs.empty() ? 0 : Runs.front().Begin);
  const fb::Program &P = M.program();
  Trace.track(0, "launches");
  std::set<uint32_t> Named;
  for (const LaneRecord &L : Lanes)
    if (Named.insert(L.Lane).second)
      Trace.track(1 + L.Lane, "worker " + std::to_string(L.Lane));
  for (const RunRecord &R : Runs)
    Trace.span(0, P.entries()->Get(R.Entry)->name()->string_view(), R.Begin,
               R.End);
  for (const LaunchRecord &L : Launches) {
    const fb::Kernel &K = *P.kernels()->Get(L.Kernel);
    Trace.span(0, K.name()->string_view(), L.Begin, L.End,
               describeLaunch(K, L));
  }
  for (const HostCallRecord &H : HostCalls) {
    const fb::HostOp &Op =
        *M.lowered().Entries[H.Entry].HostOps[H.Operator].Table;
    std::string Node = "\"nodes\":";
    appendQuoted(Node, Op.node() ? Op.node()->string_view() : "");
    Trace.span(0, Op.name()->string_view(), H.Begin, H.End, Node);
  }
  for (const LaneRecord &L : Lanes)
    if (L.Launch < Launches.size())
      Trace.span(
          1 + L.Lane,
          P.kernels()->Get(Launches[L.Launch].Kernel)->name()->string_view(),
          L.Begin, L.End);
  return Trace.take();
}

Status Profile::writeChromeTrace(const Module &M,
                                 const std::string &Path) const {
  std::string Text = toChromeTrace(M);
  AtomicFile File(Path);
  File.write(Text.data(), Text.size());
  return File.commit();
}
