//===- CApi.cpp - limosa.h ------------------------------------------------===//

#include "InstanceState.h"
#include "limosa/Runtime/Compile.h"
#include "limosa/Runtime/Instance.h"
#include "limosa/limosa.h"

#include <algorithm>
#include <cstring>

using namespace limosa;
using namespace limosa::runtime;

struct limosa_context {
  std::shared_ptr<Context> Ctx;
};
struct limosa_module {
  std::shared_ptr<const Module> Mod;
};
struct limosa_instance {
  std::unique_ptr<Instance> Inst;
};

namespace {

thread_local std::string LastError;

int32_t report(const Status &S) {
  if (!S.ok())
    LastError = S.message();
  return S.code();
}
int32_t missing(const char *What) {
  return report(invalidArgument(std::string(What) + " is NULL"));
}

/// A copy of a struct whose caller may know fewer fields.
template <typename T> T withSize(const T *Given) {
  T Result = {};
  if (Given)
    std::memcpy(&Result, Given, std::min<uint64_t>(Given->size, sizeof(T)));
  Result.size = sizeof(T);
  return Result;
}

const fb::Entry *entryAt(const limosa_module *Module, uint32_t Entry) {
  if (!Module || Entry >= limosa_module_entry_count(Module))
    return nullptr;
  return Module->Mod->program().entries()->Get(Entry);
}

/// Works on fb::Argument and fb::State alike.
template <typename Table>
int32_t fillInfo(const limosa_module *Module,
                 const flatbuffers::Vector<flatbuffers::Offset<Table>> *List,
                 uint32_t Index, limosa_tensor_info *Out) {
  if (!Out)
    return missing("out");
  if (!List || Index >= List->size())
    return report(
        invalidArgument("there is no number " + std::to_string(Index)));
  const Table &T = *List->Get(Index);
  limosa_tensor_info Info = {};
  Info.size = std::min<uint64_t>(Out->size, sizeof(Info));
  Info.next = Out->next;
  Info.name = T.name()->c_str();
  Info.dtype = T.dtype();
  Info.rank = T.dims() ? T.dims()->size() : 0;
  for (uint32_t D = 0; D < Info.rank; ++D)
    Info.dims[D] =
        Module->Mod->program().exprs()->Get(T.dims()->Get(D))->text()->c_str();
  std::memcpy(Out, &Info, Info.size);
  return LIMOSA_STATUS_OK;
}

/// Adds the operators that the caller gave for one compile.
Status takeOperators(const limosa_compile_options &O, OperatorTables &Out) {
  if (O.operator_count && !O.operators)
    return invalidArgument("operators is NULL");
  for (uint32_t I = 0; I < O.operator_count; ++I) {
    if (!O.operators[I])
      return invalidArgument("operators[" + std::to_string(I) + "] is NULL");
    limosa_operator Borrowed = withSize(O.operators[I]);
    Borrowed.release = nullptr; // stays the caller's
    Status S;
    auto Made = Operator::create(Borrowed, S);
    if (!Made)
      return S;
    Out.Pointers.push_back(&Made->table());
    Out.Kept.push_back(std::move(Made));
  }
  return {};
}

/// The caller's options; code whose threads are not told is for the context's.
limosa_compile_options forContext(const limosa_context &C,
                                  const limosa_compile_options *Options) {
  limosa_compile_options O = withSize(Options);
  if (O.threads == 0)
    O.threads = C.Ctx->threads();
  return O;
}

int32_t compileWith(OperatorTables Operators,
                    const limosa_compile_options &Options,
                    limosa_diagnostic_fn Diagnostic, void *DiagnosticContext) {
  limosa_compile_options O = withSize(&Options);
  if (Status S = takeOperators(O, Operators))
    return report(S);
  Operators.addTo(O);
  return report(compileModel(O, Diagnostic, DiagnosticContext));
}

int32_t loadModule(limosa_context *C, std::shared_ptr<const LimFile> File,
                   limosa_module **Out) {
  Status S;
  auto Mod = Module::load(C->Ctx, std::move(File), S);
  if (!Mod)
    return report(S);
  *Out = new limosa_module{std::move(Mod)};
  return LIMOSA_STATUS_OK;
}

} // namespace

const char *limosa_version(void) { return LIMOSA_VERSION_STRING; }
const char *limosa_last_error(void) { return LastError.c_str(); }

//===----------------------------------------------------------------------===//
// Contexts
//===----------------------------------------------------------------------===//

int32_t limosa_context_create(const limosa_context_options *Options,
                              limosa_context **Out) {
  if (!Out)
    return missing("out");
  Status S;
  auto Ctx = Context::create(withSize(Options), S);
  if (!Ctx)
    return report(S);
  *Out = new limosa_context{std::move(Ctx)};
  return LIMOSA_STATUS_OK;
}

void limosa_context_destroy(limosa_context *C) { delete C; }

uint32_t limosa_context_threads(const limosa_context *C) {
  return C ? C->Ctx->threads() : 0;
}

int32_t limosa_context_load_plugin(limosa_context *C, const char *Path) {
  if (!C || !Path)
    return missing("context or path");
  return report(C->Ctx->loadPlugin(Path));
}

int32_t limosa_context_register_operator(limosa_context *C,
                                         const limosa_operator *Given) {
  if (!C || !Given)
    return missing("context or operator");
  return report(C->Ctx->operators().add(*Given));
}

int32_t limosa_context_load_operators(limosa_context *C, const char *Path) {
  if (!C || !Path)
    return missing("context or path");
  return report(C->Ctx->operators().load(Path));
}

uint32_t limosa_context_device_count(const limosa_context *C) {
  return C ? C->Ctx->deviceCount() : 0;
}

int32_t limosa_context_device(const limosa_context *C, uint32_t Index,
                              const char **Name, const char **Description) {
  if (!C)
    return missing("context");
  if (Index >= C->Ctx->deviceCount())
    return report(
        invalidArgument("there is no device " + std::to_string(Index)));
  const limosa_device_properties &P = C->Ctx->device(Index).Properties;
  if (Name)
    *Name = P.name;
  if (Description)
    *Description = P.description;
  return LIMOSA_STATUS_OK;
}

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

int32_t limosa_module_load(limosa_context *C, const char *Path,
                           limosa_module **Out) {
  if (!C || !Path || !Out)
    return missing("context, path or out");
  Status S;
  auto File = LimFile::open(Path, S);
  return File ? loadModule(C, std::move(File), Out) : report(S);
}

int32_t limosa_module_load_memory(limosa_context *C, const void *Bytes,
                                  uint64_t Size, limosa_module **Out) {
  if (!C || !Bytes || !Out)
    return missing("context, bytes or out");
  if (reinterpret_cast<uintptr_t>(Bytes) % LimItemAlignment)
    return report(invalidArgument("the bytes are not 64-byte aligned"));
  Status S;
  auto File =
      LimFile::fromMemory({static_cast<const uint8_t *>(Bytes), Size}, S);
  return File ? loadModule(C, std::move(File), Out) : report(S);
}

void limosa_module_destroy(limosa_module *M) { delete M; }

int32_t limosa_compile(const limosa_compile_options *Options,
                       limosa_diagnostic_fn Diagnostic,
                       void *DiagnosticContext) {
  if (!Options)
    return missing("options");
  return compileWith({}, *Options, Diagnostic, DiagnosticContext);
}

int32_t limosa_context_compile(limosa_context *C,
                               const limosa_compile_options *Options,
                               limosa_diagnostic_fn Diagnostic,
                               void *DiagnosticContext) {
  if (!C || !Options)
    return missing("context or options");
  return compileWith(C->Ctx->operators().tables(), forContext(*C, Options),
                     Diagnostic, DiagnosticContext);
}

int32_t limosa_load_or_compile(limosa_context *C,
                               const limosa_compile_options *Options,
                               limosa_diagnostic_fn Diagnostic,
                               void *DiagnosticContext, limosa_module **Out,
                               int32_t *FromCache) {
  if (!C || !Options || !Out)
    return missing("context, options or out");
  limosa_compile_options O = forContext(*C, Options);
  OperatorTables Operators = C->Ctx->operators().tables();
  Status S = takeOperators(O, Operators);
  if (!S.ok())
    return report(S);
  Operators.addTo(O);
  CachedModel Model =
      loadOrCompile(Cache(), O, Diagnostic, DiagnosticContext, S);
  if (!Model.File)
    return report(S);
  if (int32_t Code = loadModule(C, std::move(Model.File), Out))
    return Code;
  if (FromCache)
    *FromCache = Model.FromCache;
  return LIMOSA_STATUS_OK;
}

uint32_t limosa_module_entry_count(const limosa_module *M) {
  if (!M || !M->Mod->program().entries())
    return 0;
  return M->Mod->program().entries()->size();
}

const char *limosa_module_entry_name(const limosa_module *M, uint32_t Entry) {
  const fb::Entry *E = entryAt(M, Entry);
  return E ? E->name()->c_str() : "";
}

int32_t limosa_module_find_entry(const limosa_module *M, const char *Name,
                                 uint32_t *Out) {
  if (!M || !Name || !Out)
    return missing("module, name or out");
  auto Found = M->Mod->findEntry(Name);
  if (!Found)
    return report({LIMOSA_STATUS_NOT_FOUND,
                   std::string("the model has no entry '") + Name + "'"});
  *Out = *Found;
  return LIMOSA_STATUS_OK;
}

uint32_t limosa_module_input_count(const limosa_module *M, uint32_t Entry) {
  const fb::Entry *E = entryAt(M, Entry);
  return E && E->inputs() ? E->inputs()->size() : 0;
}

uint32_t limosa_module_output_count(const limosa_module *M, uint32_t Entry) {
  const fb::Entry *E = entryAt(M, Entry);
  return E && E->outputs() ? E->outputs()->size() : 0;
}

int32_t limosa_module_input(const limosa_module *M, uint32_t Entry,
                            uint32_t Index, limosa_tensor_info *Out) {
  const fb::Entry *E = entryAt(M, Entry);
  return fillInfo(M, E ? E->inputs() : nullptr, Index, Out);
}

int32_t limosa_module_output(const limosa_module *M, uint32_t Entry,
                             uint32_t Index, limosa_tensor_info *Out) {
  const fb::Entry *E = entryAt(M, Entry);
  return fillInfo(M, E ? E->outputs() : nullptr, Index, Out);
}

uint32_t limosa_module_state_count(const limosa_module *M) {
  return M && M->Mod->program().states() ? M->Mod->program().states()->size()
                                         : 0;
}

int32_t limosa_module_state(const limosa_module *M, uint32_t Index,
                            limosa_tensor_info *Out) {
  return fillInfo(M, M ? M->Mod->program().states() : nullptr, Index, Out);
}

//===----------------------------------------------------------------------===//
// Instances
//===----------------------------------------------------------------------===//

int32_t limosa_instance_create(limosa_module *M, limosa_instance **Out) {
  if (!M || !Out)
    return missing("module or out");
  Status S;
  auto Inst = Instance::create(M->Mod, S);
  if (!Inst)
    return report(S);
  *Out = new limosa_instance{std::move(Inst)};
  return LIMOSA_STATUS_OK;
}

void limosa_instance_destroy(limosa_instance *I) { delete I; }

int32_t limosa_run(limosa_instance *I, uint32_t Entry,
                   const limosa_tensor *Inputs, uint32_t InputCount,
                   limosa_tensor *Outputs, uint32_t OutputCount) {
  if (!I || (!Inputs && InputCount) || (!Outputs && OutputCount))
    return missing("instance, inputs or outputs");
  return report(
      I->Inst->run(Entry, {Inputs, InputCount}, {Outputs, OutputCount}));
}

void limosa_tensor_release(limosa_tensor *Tensor) {
  if (!Tensor || !Tensor->owner)
    return;
  auto *Block = static_cast<OutputBlock *>(Tensor->owner);
  Block->From->release(Block->Memory, Block->Bytes);
  delete Block;
  Tensor->data = nullptr;
  Tensor->owner = nullptr;
  Tensor->bytes = 0;
}

int32_t limosa_state_read(limosa_instance *I, uint32_t State, void *Data,
                          uint64_t Bytes) {
  if (!I || (!Data && Bytes))
    return missing("instance or data");
  return report(I->Inst->readState(State, Data, Bytes));
}

int32_t limosa_state_write(limosa_instance *I, uint32_t State, const void *Data,
                           uint64_t Bytes) {
  if (!I || (!Data && Bytes))
    return missing("instance or data");
  return report(I->Inst->writeState(State, Data, Bytes));
}

int32_t limosa_profile_start(limosa_instance *I) {
  return I ? report(I->Inst->startProfile()) : missing("instance");
}

int32_t limosa_profile_stop(limosa_instance *I, const char *Path) {
  if (!I || !Path)
    return missing("instance or path");
  auto P = I->Inst->stopProfile();
  if (!P)
    return report(invalidArgument("no profile is being taken"));
  return report(P->writeChromeTrace(I->Inst->module(), Path));
}
