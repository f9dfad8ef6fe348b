//===- DeviceTest.cpp - The interpreter behind the device interface -------===//

#include "GraphMaker.h"
#include "ReferenceDevice.h"
#include "limosa/Runtime/DevicePlugin.h"
#include "limosa/Runtime/GraphAccess.h"

using namespace limosa;
using namespace limosa::reference;

namespace {

class ReferenceDeviceTest : public testing::Test {
protected:
  void SetUp() override {
    std::string Error;
    Driver = runtime::queryDriver(limosa_reference_device_query, Error);
    ASSERT_TRUE(Driver) << Error;
    ASSERT_EQ(Driver->create_device(runtime::defaultHost(), 0, &Device), 0);
  }
  void TearDown() override { Driver->destroy_device(Device); }

  static int32_t collect(void *Context, const void *Bytes, uint64_t Size) {
    auto *First = static_cast<const uint8_t *>(Bytes);
    auto *Out = static_cast<std::vector<uint8_t> *>(Context);
    Out->insert(Out->end(), First, First + Size);
    return LIMOSA_STATUS_OK;
  }
  std::vector<uint8_t> compile(const limosa_graph *Graph) {
    std::vector<uint8_t> Bytes;
    const char *Name = "k0";
    limosa_compile_request Request = {};
    Request.size = sizeof(Request);
    Request.graphs = &Graph;
    Request.symbols = &Name;
    Request.graph_count = 1;
    Request.context = &Bytes;
    Request.write = collect;
    EXPECT_EQ(Driver->compile(Device, &Request), 0);
    return Bytes;
  }

  const limosa_driver *Driver = nullptr;
  limosa_device *Device = nullptr;
};

/// transpose of [N, 2, 3] whose result is stored with its dimensions reversed,
/// so that the memory holds the operand's elements in their old order.
GraphMaker transposeGraph() {
  GraphMaker M;
  M.symbol("N");
  uint32_t A = M.input(DType::F32, {"N", "2", "3"});
  uint32_t R = M.value(DType::F32, {"3", "2", "N"});
  M.G.values[R]->order = {2, 1, 0};
  GraphMaker::ints(M.op("transpose", {A}, {R}), "perm", {2, 1, 0});
  M.output(R);
  return M;
}

} // namespace

TEST_F(ReferenceDeviceTest, ClaimsCompilesAndLaunches) {
  GraphMaker M = transposeGraph();
  flatbuffers::FlatBufferBuilder B;
  B.Finish(fb::Graph::Pack(B, &M.G));
  std::string Error;
  auto Graph = runtime::GraphAccess::create(
      std::span(B.GetBufferPointer(), B.GetSize()), Error);
  ASSERT_TRUE(Graph) << Error;

  std::vector<int32_t> Answers;
  limosa_claim_request Claim = {};
  Claim.size = sizeof(Claim);
  Claim.graph = Graph->handle();
  Claim.context = &Answers;
  Claim.answer = [](void *Context, uint32_t, int32_t Accepted, const char *) {
    static_cast<std::vector<int32_t> *>(Context)->push_back(Accepted);
  };
  ASSERT_EQ(Driver->claim(Device, &Claim), 0);
  EXPECT_EQ(Answers, std::vector<int32_t>{1});

  std::vector<uint8_t> Bytes = compile(Graph->handle());
  limosa_executable *Executable;
  ASSERT_EQ(Driver->load_executable(Device, "", "", Bytes.data(), Bytes.size(),
                                    &Executable),
            0);
  uint64_t Kernel;
  ASSERT_EQ(Driver->find_kernel(Executable, "k0", &Kernel), 0);
  EXPECT_EQ(Driver->find_kernel(Executable, "k1", &Kernel),
            LIMOSA_STATUS_NOT_FOUND);
  limosa_queue *Queue;
  ASSERT_EQ(Driver->create_queue(Device, &Queue), 0);
  std::vector<float> In(24), Out(24, -1);
  for (size_t I = 0; I < In.size(); ++I)
    In[I] = float(I);
  void *Addresses[] = {In.data(), Out.data()};
  int64_t N = 4;
  limosa_launch Launch = {};
  Launch.size = sizeof(Launch);
  Launch.executable = Executable;
  Launch.kernel = Kernel;
  Launch.grid = 1;
  Launch.scalars = &N;
  Launch.scalar_count = 1;
  Launch.addresses = Addresses;
  Launch.buffer_count = 2;
  EXPECT_EQ(Driver->launch(Queue, &Launch), 0);
  EXPECT_EQ(Out, In);
  Driver->destroy_queue(Queue);
  Driver->unload_executable(Executable);
}

TEST_F(ReferenceDeviceTest, RefusesDamagedExecutables) {
  GraphMaker M = transposeGraph();
  flatbuffers::FlatBufferBuilder B;
  B.Finish(fb::Graph::Pack(B, &M.G));
  std::string Error;
  auto Graph = runtime::GraphAccess::create(
      std::span(B.GetBufferPointer(), B.GetSize()), Error);
  std::vector<uint8_t> Good = compile(Graph->handle());
  for (size_t Size = 0; Size < Good.size(); Size += 7) {
    limosa_executable *Executable = nullptr;
    std::vector<uint8_t> Cut(Good.begin(), Good.begin() + long(Size));
    EXPECT_NE(Driver->load_executable(Device, "", "", Cut.data(), Cut.size(),
                                      &Executable),
              0);
    EXPECT_EQ(Executable, nullptr);
  }
}
