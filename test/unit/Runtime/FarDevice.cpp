//===- FarDevice.cpp - A device with memory of its own, for tests ---------===//

#include "FarDevice.h"

#include <atomic>
#include <cstring>
#include <functional>
#include <vector>

using FarBuffer = std::vector<uint8_t>;
using FarQueue = std::vector<std::function<void()>>;

static std::atomic<int> BuffersAlive;
int limosa::test::farBuffersAlive() { return BuffersAlive; }

static uint8_t *at(const limosa_binding &B) {
  return reinterpret_cast<FarBuffer *>(B.buffer)->data() + B.offset;
}

static int32_t finish(limosa_queue *Queue) {
  auto &Work = *reinterpret_cast<FarQueue *>(Queue);
  for (auto &W : Work)
    W();
  Work.clear();
  return LIMOSA_STATUS_OK;
}

static const limosa_driver Driver = [] {
  limosa_driver D = {};
  D.size = sizeof(D);
  D.version = 1;
  D.name = "far";
  D.device_count = [] { return 1u; };
  D.create_device = [](const limosa_host *, uint32_t, limosa_device **Out) {
    *Out = reinterpret_cast<limosa_device *>(&BuffersAlive);
    return 0;
  };
  D.destroy_device = [](limosa_device *) {};
  D.get_properties = [](limosa_device *, limosa_device_properties *Out) {
    Out->name = "far";
    Out->alignment = 64;
    return 0;
  };
  D.load_executable = [](limosa_device *, const char *, const char *,
                         const void *Bytes, uint64_t, limosa_executable **Out) {
    *Out = static_cast<limosa_executable *>(const_cast<void *>(Bytes));
    return 0;
  };
  D.unload_executable = [](limosa_executable *) {};
  D.find_kernel = [](const limosa_executable *, const char *, uint64_t *Out) {
    *Out = 0;
    return 0;
  };
  D.alloc_buffer = [](limosa_device *, uint64_t Bytes, limosa_buffer **Out) {
    ++BuffersAlive;
    *Out = reinterpret_cast<limosa_buffer *>(new FarBuffer(Bytes));
    return 0;
  };
  D.free_buffer = [](limosa_buffer *B) {
    --BuffersAlive;
    delete reinterpret_cast<FarBuffer *>(B);
  };
  D.host_pointer = [](limosa_buffer *) -> void * { return nullptr; };
  D.write_buffer = [](limosa_queue *Q, limosa_binding Dst, const void *Src) {
    finish(Q);
    std::memcpy(at(Dst), Src, Dst.bytes);
    return 0;
  };
  D.read_buffer = [](limosa_queue *Q, void *Dst, limosa_binding Src) {
    finish(Q);
    std::memcpy(Dst, at(Src), Src.bytes);
    return 0;
  };
  D.copy_buffer = [](limosa_queue *Q, limosa_binding Dst, limosa_binding Src) {
    finish(Q);
    std::memcpy(at(Dst), at(Src), Src.bytes);
    return 0;
  };
  D.create_queue = [](limosa_device *, limosa_queue **Out) {
    *Out = reinterpret_cast<limosa_queue *>(new FarQueue);
    return 0;
  };
  D.destroy_queue = [](limosa_queue *Q) {
    delete reinterpret_cast<FarQueue *>(Q);
  };
  D.launch = [](limosa_queue *Q, const limosa_launch *L) {
    auto *X = reinterpret_cast<float *>(at(L->bindings[0]));
    auto *W = reinterpret_cast<float *>(at(L->bindings[1]));
    int64_t N = L->scalars[0];
    reinterpret_cast<FarQueue *>(Q)->push_back([=] {
      for (int64_t I = 0; I < N; ++I)
        X[I] *= W[0];
    });
    return 0;
  };
  D.finish_queue = finish;
  // Its being there says that launches may return early.
  D.create_timeline = [](limosa_device *, uint64_t, limosa_timeline **) {
    return int32_t(LIMOSA_STATUS_UNSUPPORTED);
  };
  return D;
}();

int32_t limosa::test::farDeviceQuery(const limosa_host *, uint32_t, uint32_t,
                                     const limosa_driver **Out) {
  *Out = &Driver;
  return LIMOSA_STATUS_OK;
}
