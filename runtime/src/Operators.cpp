//===- Operators.cpp - Operators of the host ------------------------------===//

#include "limosa/Runtime/Operators.h"
#include "Libraries.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <dlfcn.h>
#include <iterator>

using namespace limosa::runtime;

//===----------------------------------------------------------------------===//
// One operator
//===----------------------------------------------------------------------===//

std::shared_ptr<const Operator> Operator::create(const limosa_operator &Given,
                                                 Status &S,
                                                 std::string_view Origin) {
  std::shared_ptr<Operator> Made(new Operator);
  limosa_operator &T = Made->Table;
  std::memcpy(&T, &Given, std::min<uint64_t>(Given.size, sizeof(T)));
  auto Refuse = [&](const std::string &Why) {
    S = invalidArgument("operator '" + std::string(T.domain ? T.domain : "") +
                        "::" + (T.name ? T.name : "") + "' " + Why);
    return nullptr;
  };
  if (Given.size < offsetof(limosa_operator, run))
    return Refuse("has no size: set it to sizeof(limosa_operator)");
  if (!T.domain || !*T.domain || !T.name || !*T.name)
    return Refuse("needs a domain and a name");
  if (T.since_version < 0)
    return Refuse("has a negative version");
  if (!T.run && !T.build)
    return Refuse("needs a kernel (run) or a body (build)");
  if (!T.infer && !T.build)
    return Refuse("needs a shape function (infer) or a body (build)");
  if (T.arity) {
    if (T.arity->size < sizeof(Made->Arity))
      return Refuse("has an arity without a size: set it to "
                    "sizeof(limosa_operator_arity)");
    Made->Arity = *T.arity;
    if (Made->Arity.min_inputs > Made->Arity.max_inputs ||
        Made->Arity.min_outputs > Made->Arity.max_outputs)
      return Refuse("has an arity whose least is more than its most");
    T.arity = &Made->Arity;
  }
  Made->Domain = T.domain;
  Made->Name = T.name;
  Made->Revision = T.revision ? T.revision : "";
  Made->Revision += Origin;
  Made->FullName = Made->Domain + "::" + Made->Name;
  T.size = sizeof(T);
  T.domain = Made->Domain.c_str();
  T.name = Made->Name.c_str();
  T.revision = Made->Revision.c_str();
  T.since_version = std::max<int64_t>(T.since_version, 1);
  Made->Taken = true;
  return Made;
}

Operator::~Operator() {
  if (Taken && Table.release)
    Table.release(Table.user);
}

//===----------------------------------------------------------------------===//
// The registry
//===----------------------------------------------------------------------===//

namespace {

/// The table of a library; null sets `S`. It is never unloaded: its code may be
/// in use by operators that outlive the registry.
const limosa_operator_library *openLibrary(const std::string &Path, Status &S) {
  void *Library = dlopen(Path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!Library) {
    const char *Why = dlerror();
    S = {LIMOSA_STATUS_NOT_FOUND,
         std::string("cannot load operators: ") + (Why ? Why : Path.c_str())};
    return nullptr;
  }
  auto Query = reinterpret_cast<limosa_operators_query_fn>(
      dlsym(Library, "limosa_operators_query"));
  const limosa_operator_library *Table = nullptr;
  if (!Query) {
    S = {LIMOSA_STATUS_UNSUPPORTED, "'" + Path +
                                        "' has no operators: it does not "
                                        "export limosa_operators_query"};
  } else if (Query(1, LIMOSA_OPERATOR_VERSION, &Table) != LIMOSA_STATUS_OK ||
             !Table || Table->size < sizeof(limosa_operator_library) ||
             (Table->operator_count && !Table->operators)) {
    Table = nullptr;
    S = {LIMOSA_STATUS_UNSUPPORTED,
         "'" + Path + "' speaks no version of the operator interface up to " +
             std::to_string(LIMOSA_OPERATOR_VERSION)};
  }
  if (!Table)
    dlclose(Library);
  return Table;
}

using List = std::vector<std::shared_ptr<const Operator>>;

Status readLibrary(const std::string &Path, List &Out) {
  Status S;
  const limosa_operator_library *Table = openLibrary(Path, S);
  const std::string Origin = fileIdentity(Path);
  for (uint32_t I = 0; Table && I < Table->operator_count; ++I) {
    if (!Table->operators[I])
      return invalidArgument("'" + Path + "': operator " + std::to_string(I) +
                             " is NULL");
    auto Made = Operator::create(*Table->operators[I], S, Origin);
    if (!Made)
      return {S.code(), "'" + Path + "': " + S.message()};
    Out.push_back(std::move(Made));
  }
  return S;
}

/// Leaves what was replaced in `New`: it may be released only when no lock is
/// held, for that runs a user's code.
void put(List &Into, std::shared_ptr<const Operator> &New) {
  for (auto &Old : Into)
    if (Old->fullName() == New->fullName() &&
        Old->table().since_version == New->table().since_version) {
      std::swap(Old, New);
      return;
    }
  Into.push_back(std::move(New));
}

} // namespace

Status OperatorRegistry::add(const limosa_operator &Given) {
  Status S;
  auto Made = Operator::create(Given, S);
  if (!Made)
    return S;
  std::lock_guard<std::mutex> Lock(Mutex);
  put(Registered, Made);
  return {};
}

Status OperatorRegistry::load(const std::string &Path) {
  List Read;
  if (Status S = readLibrary(Path, Read))
    return S;
  std::lock_guard<std::mutex> Lock(Mutex);
  for (auto &Made : Read)
    put(Registered, Made);
  return {};
}

OperatorTables OperatorRegistry::tables() const {
  OperatorTables Tables;
  std::lock_guard<std::mutex> Lock(Mutex);
  Tables.Kept = Registered;
  for (const auto &Op : Registered)
    Tables.Pointers.push_back(&Op->table());
  return Tables;
}

std::shared_ptr<const Operator>
OperatorRegistry::lookup(std::string_view FullName, int64_t Version,
                         std::string &Others) const {
  for (const List *L : {&Registered, &OfHost})
    for (const auto &Known : *L) {
      if (Known->fullName() != FullName)
        continue;
      if (Known->table().since_version == Version)
        return Known;
      Others += (Others.empty() ? "" : ", ") +
                std::to_string(Known->table().since_version);
    }
  return nullptr;
}

namespace {
/// Limosa's own libraries of operators, in the order in which they are tried.
constexpr struct {
  const char *Variable, *File;
} HostLibraries[] = {{"LIMOSA_HOST_LIBRARY", "liblimosa_host.so"},
                     {"LIMOSA_IMAGE_LIBRARY", "liblimosa_images.so"}};
constexpr std::string_view HostDomain = "limosa::";
} // namespace

void OperatorRegistry::openHostLibrary() {
  const auto &[Variable, File] = HostLibraries[HostOpened++];
  // One that is missing is no error by itself: who asked for an operator is
  // told that nobody has it.
  if (Status S = readLibrary(libraryPath(Variable, File), OfHost))
    HostErrors += (HostErrors.empty() ? "" : "; ") + S.message();
}

std::shared_ptr<const Operator>
OperatorRegistry::find(std::string_view FullName, int64_t Version,
                       std::string_view Node, Status &S) {
  std::lock_guard<std::mutex> Lock(Mutex);
  std::string Others;
  auto Found = lookup(FullName, Version, Others);
  while (!Found && FullName.starts_with(HostDomain) &&
         HostOpened < std::size(HostLibraries)) {
    openHostLibrary();
    Others.clear();
    Found = lookup(FullName, Version, Others);
  }
  std::string What = "the model needs operator '" + std::string(FullName) +
                     "' version " + std::to_string(Version) + " (node '" +
                     std::string(Node) + "'), which ";
  if (!Found && FullName.starts_with(HostDomain))
    S = {LIMOSA_STATUS_NOT_FOUND,
         What + "is in none of Limosa's libraries for the host" +
             (HostErrors.empty() ? "" : ": " + HostErrors)};
  else if (!Found)
    S = {LIMOSA_STATUS_NOT_FOUND,
         What +
             (Others.empty() ? "is not registered"
                             : "is registered as version " + Others) +
             ": " + std::string(HowToRegister)};
  else if (!Found->table().run)
    S = {LIMOSA_STATUS_NOT_FOUND, What + "is registered without a kernel"};
  return S.ok() ? Found : nullptr;
}
