//===- Module.cpp - A compiled model, ready to run ------------------------===//

#include "limosa/Runtime/Module.h"
#include "Lowered.h"
#include "limosa/Runtime/OperatorRules.h"

#include <algorithm>

using namespace limosa;
using namespace limosa::runtime;

std::shared_ptr<const Module> Module::load(std::shared_ptr<Context> C,
                                           std::shared_ptr<const LimFile> File,
                                           Status &S) {
  std::shared_ptr<Module> M(new Module);
  M->Ctx = std::move(C);
  M->File = std::move(File);
  M->Lowered = std::make_unique<LoweredProgram>();
  lowerProgram(M->program(), *M->Lowered);
  S = M->loadDevices();
  if (S.ok())
    S = M->loadExecutables();
  if (S.ok())
    S = M->loadConstants();
  if (S.ok())
    S = M->loadOperators();
  if (S.ok())
    return M;
  S = Status(S.code(), M->File->name() + ": " + S.message());
  return nullptr;
}

Module::~Module() {
  for (const UploadedConstant &U : Lowered->Uploaded)
    Lowered->Devices[U.Device]->Driver->free_buffer(U.Buffer);
  for (size_t I = 0; I < Lowered->Executables.size(); ++I)
    if (Lowered->Executables[I]) {
      uint32_t Device = program().executables()->Get(uint32_t(I))->device();
      Lowered->Devices[Device]->Driver->unload_executable(
          Lowered->Executables[I]);
    }
}

std::optional<uint32_t> Module::findEntry(std::string_view Name) const {
  for (size_t I = 0; I < Lowered->Entries.size(); ++I)
    if (Lowered->Entries[I].Table->name()->string_view() == Name)
      return uint32_t(I);
  return std::nullopt;
}

Status Module::loadDevices() {
  if (!program().devices())
    return {};
  for (const fb::Device *D : *program().devices()) {
    const DeviceEntry *Entry = Ctx->findDevice(D->name()->string_view());
    if (!Entry)
      return {LIMOSA_STATUS_NOT_FOUND,
              "the model needs the device '" + D->name()->str() +
                  "', which is not here: load its plug-in first"};
    Lowered->Devices.push_back(Entry);
  }
  return {};
}

Status Module::loadExecutables() {
  const fb::Program &P = program();
  if (!P.executables())
    return {};
  Lowered->Executables.resize(P.executables()->size());
  for (uint32_t I = 0; I < P.executables()->size(); ++I) {
    const fb::Executable &E = *P.executables()->Get(I);
    const DeviceEntry *Device = Lowered->Devices[E.device()];
    std::span<const uint8_t> Bytes = File->code(E);
    if (int32_t Code = Device->Driver->load_executable(
            Device->Handle, E.format()->c_str(),
            E.isa() ? E.isa()->c_str() : "", Bytes.data(), Bytes.size(),
            &Lowered->Executables[I]))
      return Ctx->deviceError(Code, "cannot load code");
  }
  if (!P.kernels())
    return {};
  for (const fb::Kernel *K : *P.kernels()) {
    LoweredKernel Kernel = {};
    Kernel.Table = K;
    Kernel.DeviceIndex = P.executables()->Get(K->executable())->device();
    Kernel.Device = Lowered->Devices[Kernel.DeviceIndex];
    Kernel.Executable = Lowered->Executables[K->executable()];
    if (int32_t Code = Kernel.Device->Driver->find_kernel(
            Kernel.Executable, K->symbol()->c_str(), &Kernel.Handle))
      return Ctx->deviceError(Code, "cannot load kernel " + K->name()->str());
    Lowered->Kernels.push_back(Kernel);
  }
  return {};
}

/// Finds the host operators. They reach the host's memory only.
Status Module::loadOperators() {
  for (LoweredEntry &E : Lowered->Entries)
    for (LoweredHostOp &H : E.HostOps) {
      for (const auto &List : {H.Inputs, H.Outputs})
        for (uint32_t B : List)
          if (B != NoIndex &&
              !Lowered->Devices[E.Buffers[B].Device]->takesAddresses())
            return corrupt("a host operator uses memory the host does not see");
      Status S;
      H.Operator = Ctx->operators().find(
          H.Table->name()->string_view(), H.Table->version(),
          H.Table->node() ? H.Table->node()->string_view() : "", S);
      if (!H.Operator)
        return S;
      // A damaged file must not have a kernel look at what is not there.
      std::string Why =
          arityProblem(H.Operator->table().arity, uint32_t(H.Inputs.size()),
                       uint32_t(H.Outputs.size()),
                       [&](uint32_t K) { return H.Inputs[K] != NoIndex; });
      if (!Why.empty())
        return corrupt("node '" +
                       (H.Table->node() ? H.Table->node()->str() : "") + "' (" +
                       H.Operator->fullName() + "): " + Why);
    }
  return {};
}

/// Checks that each buffer lies where its users reach it, and puts constants
/// into memory that only their device sees.
Status Module::loadConstants() {
  for (const LoweredEntry &E : Lowered->Entries) {
    for (const LoweredBuffer &B : E.Buffers) {
      if (B.Kind == fb::BufferKind::None ||
          Lowered->Devices[B.Device]->takesAddresses())
        continue;
      if (B.Kind == fb::BufferKind::Input || B.Kind == fb::BufferKind::Output ||
          B.Kind == fb::BufferKind::State)
        return corrupt("an argument lies in memory the host does not see");
      if (B.Kind != fb::BufferKind::Constant)
        continue;
      auto Same = [&](const UploadedConstant &U) {
        return U.Device == B.Device && U.Constant == B.Source;
      };
      auto &Uploaded = Lowered->Uploaded;
      if (std::find_if(Uploaded.begin(), Uploaded.end(), Same) !=
          Uploaded.end())
        continue;
      const DeviceEntry *D = Lowered->Devices[B.Device];
      auto Bytes = File->data(*program().constants()->Get(B.Source));
      limosa_buffer *Buffer = nullptr;
      limosa_queue *Queue = nullptr;
      if (int32_t Code =
              D->Driver->alloc_buffer(D->Handle, Bytes.size(), &Buffer))
        return Ctx->deviceError(Code, "cannot place a constant");
      Uploaded.push_back({B.Device, B.Source, Buffer});
      int32_t Code = D->Driver->create_queue(D->Handle, &Queue);
      if (!Code) {
        Code = D->Driver->write_buffer(Queue, {Buffer, 0, Bytes.size()},
                                       Bytes.data());
        if (!Code)
          Code = D->Driver->finish_queue(Queue);
        D->Driver->destroy_queue(Queue);
      }
      if (Code)
        return Ctx->deviceError(Code, "cannot upload a constant");
    }
    // A device that takes bindings reaches its own buffers only.
    for (const LoweredLaunch &L : E.Launches) {
      const LoweredKernel &K = Lowered->Kernels[L.Kernel];
      for (uint32_t Index : L.Buffers) {
        const LoweredBuffer &B = E.Buffers[Index];
        bool Reachable = B.Kind == fb::BufferKind::None ||
                         (K.Device->takesAddresses()
                              ? Lowered->Devices[B.Device]->takesAddresses()
                              : B.Device == K.DeviceIndex);
        if (!Reachable)
          return corrupt("kernel " + K.Table->name()->str() +
                         " uses memory its device does not reach");
      }
    }
  }
  return {};
}
