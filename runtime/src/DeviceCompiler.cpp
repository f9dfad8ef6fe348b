//===- DeviceCompiler.cpp - Asking devices what they take -----------------===//

#include "limosa/Runtime/DeviceCompiler.h"
#include "limosa/Runtime/DevicePlugin.h"

using namespace limosa::runtime;

/// False, with the device's message or `Otherwise`, unless `Code` is OK.
static bool check(int32_t Code, const char *Otherwise, std::string &Error) {
  if (Code == LIMOSA_STATUS_OK)
    return true;
  Error = lastHostError();
  if (Error.empty())
    Error = Otherwise;
  return false;
}

std::unique_ptr<DeviceCompiler>
DeviceCompiler::create(const limosa_driver *Driver, std::string &Error) {
  if (Driver->device_count() == 0) {
    Error = std::string("there is no ") + Driver->name + " device here";
    return nullptr;
  }
  std::unique_ptr<DeviceCompiler> Result(new DeviceCompiler);
  if (!check(Driver->create_device(defaultHost(), 0, &Result->Device),
             "the device cannot be made", Error))
    return nullptr;
  Result->Driver = Driver;
  Result->Properties.size = sizeof(Result->Properties);
  if (!check(Driver->get_properties(Result->Device, &Result->Properties),
             "the device has no properties", Error))
    return nullptr;
  return Result;
}

DeviceCompiler::~DeviceCompiler() {
  if (Driver)
    Driver->destroy_device(Device);
}

bool DeviceCompiler::claim(const limosa_graph *Graph,
                           std::vector<DeviceClaim> &Answers,
                           std::string &Error) {
  const limosa_graph_api *Api = defaultHost()->graph;
  Answers.assign(Api->region_op_count(Api->graph_body(Graph)), {});
  if (!compilesGraphs())
    return true;
  limosa_claim_request Request = {};
  Request.size = sizeof(Request);
  Request.graph = Graph;
  Request.context = &Answers;
  Request.answer = [](void *Context, uint32_t Op, int32_t Accepted,
                      const char *Reason) {
    auto &Answers = *static_cast<std::vector<DeviceClaim> *>(Context);
    if (Op < Answers.size())
      Answers[Op] = {Accepted != 0, Reason && !Accepted ? Reason : ""};
  };
  return check(Driver->claim(Device, &Request), "the claim failed", Error);
}

bool DeviceCompiler::compile(std::span<const limosa_graph *const> Graphs,
                             std::span<const std::string> Symbols,
                             std::span<const std::string> Options,
                             std::vector<uint8_t> &Executable,
                             std::string &Error) {
  if (!compilesGraphs() || Graphs.size() != Symbols.size()) {
    Error = "the device does not compile graphs";
    return false;
  }
  std::vector<const char *> Names, Texts;
  for (const std::string &S : Symbols)
    Names.push_back(S.c_str());
  for (const std::string &O : Options)
    Texts.push_back(O.c_str());
  Executable.clear();
  limosa_compile_request Request = {};
  Request.size = sizeof(Request);
  Request.graphs = Graphs.data();
  Request.symbols = Names.data();
  Request.graph_count = uint32_t(Graphs.size());
  Request.options = Texts.data();
  Request.option_count = uint32_t(Texts.size());
  Request.context = &Executable;
  Request.write = [](void *Context, const void *Bytes, uint64_t Size) {
    auto *Begin = static_cast<const uint8_t *>(Bytes);
    auto &Out = *static_cast<std::vector<uint8_t> *>(Context);
    Out.insert(Out.end(), Begin, Begin + Size);
    return int32_t(LIMOSA_STATUS_OK);
  };
  return check(Driver->compile(Device, &Request),
               "the device cannot compile it", Error);
}
