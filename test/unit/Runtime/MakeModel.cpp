// Writes a small compiled model, y = 2 x + 1 for x of N elements, to the path
// given.

#include "ProgramBuilder.h"

#include <cstdio>

using namespace limosa;
using namespace limosa::test;

int main(int Count, char **Arguments) {
  if (Count != 2)
    return 2;
  ProgramBuilder B;
  uint32_t N = B.symbol("N");
  uint32_t X = B.input("x", DType::F32, {"N"});
  uint32_t Y = B.output("y", DType::F32, {"N"});
  uint32_t Add =
      B.kernel("add", "ceildiv(N, 16)",
               {fb::KernelArg::In, fb::KernelArg::In, fb::KernelArg::Out});
  uint32_t Increment =
      B.kernel("increment", "ceildiv(N, 16)", {fb::KernelArg::InOut});
  uint32_t T = B.temp(DType::F32, {"N"}, "0");
  uint32_t Again = B.temp(DType::F32, {"N"}, "64*ceildiv(N, 16)");
  B.entry().arenas = {B.expr("128*ceildiv(N, 16)")};
  B.copy(X, T);
  B.launch(Increment, {T}, {N});
  B.copy(X, Again);
  B.launch(Add, {T, Again, Y}, {N});
  runtime::Status S = B.Writer.write(Arguments[1], B.meta());
  if (!S.ok())
    std::fprintf(stderr, "%s\n", S.message().c_str());
  return !S.ok();
}
