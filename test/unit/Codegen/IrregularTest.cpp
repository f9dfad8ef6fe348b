//===- IrregularTest.cpp - Sort, scan, scatter, compact, random bits ------===//

#include "KernelCheck.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FormatVariadic.h"

using namespace limosa::test;

namespace {

std::string replaceAll(std::string S, const std::string &From,
                       const std::string &To) {
  for (size_t At = 0; (At = S.find(From, At)) != std::string::npos;
       At += To.size())
    S.replace(At, From.size(), To);
  return S;
}

const char *const AllTypes[] = {"f32", "f64", "f16", "bf16", "i8",   "i16",
                                "i32", "i64", "ui8", "ui16", "ui32", "ui64"};

//===----------------------------------------------------------------------===//
// scan
//===----------------------------------------------------------------------===//

/// A running sum of `Type` ("?x7x" and the encoding in `Enc`).
std::string scanText(llvm::StringRef Type, llvm::StringRef Element, int Dim,
                     bool Exclusive, bool Reverse) {
  std::string Text = R"(func.func private @k(%a: T) -> T {
    %z = limosa.constant dense<ZERO> : tensor<E>
    %r = limosa.scan %a, %z {
    ^bb0(%acc: tensor<E>, %x: tensor<E>):
      %s = limosa.add %acc, %x : (tensor<E>, tensor<E>) -> tensor<E>
      limosa.yield %s : tensor<E>
    } {dim = DIM : i64, exclusive = EXC, reverse = REV,
       operandSegmentSizes = array<i32: 1, 1>} : (T, tensor<E>) -> T
    return %r : T
  })";
  Text = replaceAll(Text, "ZERO", Element.contains('f') ? "0.0" : "0");
  Text = replaceAll(Text, "DIM", std::to_string(Dim));
  Text = replaceAll(Text, "EXC", Exclusive ? "true" : "false");
  Text = replaceAll(Text, "REV", Reverse ? "true" : "false");
  Text = replaceAll(Text, "tensor<E>", "tensor<" + Element.str() + ">");
  // A lone T is the tensor's type.
  Text = replaceAll(Text, "T)", Type.str() + ")");
  Text = replaceAll(Text, "-> T", "-> " + Type.str());
  Text = replaceAll(Text, "(T,", "(" + Type.str() + ",");
  return replaceAll(Text, ": T\n", ": " + Type.str() + "\n");
}

TEST(Scan, AlongAnyDimension) {
  for (int Dim : {0, 1, 2})
    for (bool Exclusive : {false, true})
      for (bool Reverse : {false, true})
        checkKernel(scanText("tensor<3x?x?xf32, #limosa.enc<[\"N\", \"M\"]>>",
                             "f32", Dim, Exclusive, Reverse),
                    {.Symbols = {{"N", 5}, {"M", 37}}, .Template = "scan"});
}

TEST(Scan, OddSizes) {
  for (int Dim : {0, 1})
    for (auto [N, M] :
         {std::pair{0, 3}, {3, 0}, {1, 1}, {2, 500}, {500, 2}, {17, 129}})
      checkKernel(scanText("tensor<?x?xf32, #limosa.enc<[\"N\", \"M\"]>>",
                           "f32", Dim, false, false),
                  {.Symbols = {{"N", N}, {"M", M}}});
}

TEST(Scan, EveryDtype) {
  for (const char *T : AllTypes)
    for (int Dim : {0, 1})
      checkKernel(
          scanText("tensor<5x19x" + std::string(T) + ">", T, Dim, false, false),
          {.Range = 3});
}

TEST(Scan, SeveralAccumulators) {
  // Running maximum with its position.
  checkKernel(
      R"(func.func private @k(%a: tensor<4x33xf32>) -> (tensor<4x33xf32>, tensor<4x33xi64>) {
    %low = limosa.constant dense<0xFF800000> : tensor<f32>
    %none = limosa.constant dense<-1> : tensor<i64>
    %i = limosa.iota {dim = 1 : i64} : () -> tensor<4x33xi64>
    %r:2 = limosa.scan %a, %i, %low, %none {
    ^bb0(%v: tensor<f32>, %p: tensor<i64>, %x: tensor<f32>, %q: tensor<i64>):
      %c = limosa.compare %x, %v {direction = #limosa.compare<gt>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
      %nv = limosa.select %c, %x, %v : (tensor<i1>, tensor<f32>, tensor<f32>) -> tensor<f32>
      %np = limosa.select %c, %q, %p : (tensor<i1>, tensor<i64>, tensor<i64>) -> tensor<i64>
      limosa.yield %nv, %np : tensor<f32>, tensor<i64>
    } {dim = 1 : i64, exclusive = false, reverse = false, operandSegmentSizes = array<i32: 2, 2>}
      : (tensor<4x33xf32>, tensor<4x33xi64>, tensor<f32>, tensor<i64>) -> (tensor<4x33xf32>, tensor<4x33xi64>)
    return %r#0, %r#1 : tensor<4x33xf32>, tensor<4x33xi64>
  })");
}

//===----------------------------------------------------------------------===//
// sort
//===----------------------------------------------------------------------===//

/// Sorts `In` with positions along `Dim`; `Out` may be shorter there.
std::string sortText(llvm::StringRef InShape, llvm::StringRef OutShape,
                     llvm::StringRef Enc, llvm::StringRef Element, int Dim,
                     llvm::StringRef Direction) {
  auto Type = [&](llvm::StringRef Shape, llvm::StringRef E) {
    std::string Encoding = Shape.contains('?') && !Enc.empty()
                               ? ", #limosa.enc<[" + Enc.str() + "]>"
                               : "";
    return "tensor<" + Shape.str() + E.str() + Encoding + ">";
  };
  return llvm::formatv(
      R"(func.func private @k(%a: {0}) -> ({1}, {2}) {{
    %i = limosa.iota {{dim = {3} : i64} : () -> {4}
    %r:2 = limosa.sort %a, %i {{
    ^bb0(%x: tensor<{5}>, %y: tensor<{5}>, %p: tensor<i64>, %q: tensor<i64>):
      %c = limosa.compare %x, %y {{direction = #limosa.compare<{6}>} : (tensor<{5}>, tensor<{5}>) -> tensor<i1>
      limosa.yield %c : tensor<i1>
    } {{dim = {3} : i64} : ({0}, {4}) -> ({1}, {2})
    return %r#0, %r#1 : {1}, {2}
  })",
      Type(InShape, Element), Type(OutShape, Element), Type(OutShape, "i64"),
      Dim, Type(InShape, "i64"), Element, Direction);
}

TEST(Sort, LinesOfAnyLength) {
  for (int N : {0, 1, 2, 3, 7, 64, 100, 1000})
    checkKernel(sortText("3x?x", "3x?x", "\"N\"", "f32", 1, "lt"),
                {.Symbols = {{"N", N}}, .Template = "sort"});
}

TEST(Sort, IsStable) {
  // Few distinct values: positions tell whether equal ones kept their order.
  for (const char *T : AllTypes)
    checkKernel(sortText("4x90x", "4x90x", "", T, 1, "gt"), {.Range = 3});
}

TEST(Sort, OtherDimensions) {
  for (int Dim : {0, 1, 2})
    checkKernel(sortText("5x6x7x", "5x6x7x", "", "i32", Dim, "lt"),
                {.Range = 4});
}

TEST(Sort, KeepsTheFirst) {
  for (const char *T : {"f32", "i8", "f16"}) {
    checkKernel(sortText("3x500x", "3x5x", "", T, 1, "gt"), {.Range = 40});
    checkKernel(sortText("3x500x", "3x1x", "", T, 1, "gt"), {.Range = 40});
    checkKernel(sortText("3x70x", "3x60x", "", T, 1, "lt"), {.Range = 9});
  }
  checkKernel(sortText("300x4x", "10x4x", "", "i32", 0, "lt"), {.Range = 9});
  for (int N : {4, 10, 100})
    checkKernel(sortText("3x?x", "3x4x", "\"N\"", "f32", 1, "gt"),
                {.Symbols = {{"N", N}}});
}

//===----------------------------------------------------------------------===//
// scatter and update_slice
//===----------------------------------------------------------------------===//

std::string scatterText(llvm::StringRef Operand, llvm::StringRef Indices,
                        llvm::StringRef Updates, llvm::StringRef Element,
                        llvm::StringRef Axes, int Batch, bool Adds) {
  return llvm::formatv(
      R"(func.func private @k(%a: {0}, %i: {1}, %u: {2}) -> {0} {{
    %r = limosa.scatter %a, %i, %u {{
    ^bb0(%old: tensor<{3}>, %new: tensor<{3}>):
      %s = limosa.add %old, %new : (tensor<{3}>, tensor<{3}>) -> tensor<{3}>
      limosa.yield {4} : tensor<{3}>
    } {{axes = array<i64: {5}>, batch = {6} : i64} : ({0}, {1}, {2}) -> {0}
    return %r : {0}
  })",
      Operand, Indices, Updates, Element, Adds ? "%s" : "%new", Axes, Batch);
}

TEST(Scatter, ElementsInOrder) {
  // Indices from -4 to 12 into 9: some outside, some twice.
  for (const char *T : AllTypes)
    for (bool Adds : {false, true}) {
      std::string E = T;
      checkKernel(scatterText("tensor<9x" + E + ">", "tensor<20x1xi64>",
                              "tensor<20x" + E + ">", E, "0", 0, Adds),
                  {.Range = 12, .Template = "scatter"});
    }
}

TEST(Scatter, RowsAndBatches) {
  for (const char *I : {"i32", "i64"}) {
    std::string E = I;
    checkKernel(scatterText("tensor<6x50xf32>", "tensor<4x1x" + E + ">",
                            "tensor<4x50xf32>", "f32", "0", 0, true),
                {.Range = 6});
    // Columns: the full dimension comes first.
    checkKernel(scatterText("tensor<50x6xf32>", "tensor<4x1x" + E + ">",
                            "tensor<4x50xf32>", "f32", "1", 0, true),
                {.Range = 6});
    checkKernel(scatterText("tensor<2x5x7x33xf32>", "tensor<2x3x4x2x" + E + ">",
                            "tensor<2x3x4x33xf32>", "f32", "2, 1", 1, true),
                {.Range = 5});
  }
  checkKernel(scatterText("tensor<3x2x2000xf32>", "tensor<2x1xi64>",
                          "tensor<2x2x2000xf32>", "f32", "0", 0, false),
              {.Range = 2});
}

TEST(Scatter, EmptyAndDynamic) {
  const char *Rows = "tensor<?x?xf32, #limosa.enc<[\"N\", \"M\"]>>";
  const char *Indices = "tensor<?x1xi64, #limosa.enc<[\"P\"]>>";
  const char *Updates = "tensor<?x?xf32, #limosa.enc<[\"P\", \"M\"]>>";
  for (auto [N, M, P] : {std::tuple{5, 7, 3},
                         {5, 7, 0},
                         {0, 7, 3},
                         {5, 0, 2},
                         {1, 1, 1},
                         {40, 1030, 9}})
    checkKernel(scatterText(Rows, Indices, Updates, "f32", "0", 0, true),
                {.Symbols = {{"N", N}, {"M", M}, {"P", P}}, .Range = 6});
}

TEST(Scatter, InPlace) {
  checkKernel(scatterText("tensor<6x50xf32>", "tensor<4x1xi64>",
                          "tensor<4x50xf32>", "f32", "0", 0, true),
              {.Range = 6, .Donate = {0}});
}

std::string updateText(llvm::StringRef Operand, llvm::StringRef Update,
                       int Rank, llvm::StringRef IndexType) {
  return llvm::formatv(
      R"(func.func private @k(%a: {0}, %u: {1}, %s: tensor<{2}x{3}>) -> {0} {{
    %r = limosa.update_slice %a, %u, %s : ({0}, {1}, tensor<{2}x{3}>) -> {0}
    return %r : {0}
  })",
      Operand, Update, Rank, IndexType);
}

TEST(UpdateSlice, ClampsAndKeepsTheRest) {
  for (std::vector<int> Donate : {std::vector<int>(), {0}})
    for (unsigned Seed : {1, 2, 3, 4}) {
      checkKernel(
          updateText("tensor<2x9x40xf32>", "tensor<2x3x40xf32>", 3, "i64"),
          {.Range = 9,
           .Seed = Seed,
           .Template = "update_slice",
           .Donate = Donate});
      checkKernel(updateText("tensor<2x9x40xi8>", "tensor<1x3x7xi8>", 3, "i32"),
                  {.Range = 40, .Seed = Seed, .Donate = Donate});
      checkKernel(updateText("tensor<30xf16>", "tensor<7xf16>", 1, "i32"),
                  {.Range = 30, .Seed = Seed, .Donate = Donate});
    }
}

TEST(UpdateSlice, EmptyAndDynamic) {
  for (auto [N, M] : {std::pair{0, 4}, {3, 4}, {5, 2}, {1, 100}})
    checkKernel(updateText("tensor<6x?xf32, #limosa.enc<[\"M\"]>>",
                           "tensor<?x?xf32, #limosa.enc<[\"N\", \"M\"]>>", 2,
                           "i64"),
                {.Symbols = {{"N", N}, {"M", M}}, .Range = 6});
}

//===----------------------------------------------------------------------===//
// compact and random_bits
//===----------------------------------------------------------------------===//

TEST(Compact, FindsPositions) {
  for (auto [Shape, Rank] : {std::pair{"tensor<40xi1>", 1},
                             {"tensor<3x5x7xi1>", 3},
                             {"tensor<4x0xi1>", 2},
                             {"tensor<i1>", 0}})
    for (unsigned Seed : {1, 2})
      checkKernel(
          llvm::formatv(
              R"(func.func private @k(%m: {0}) -> (tensor<?x{1}xi64, #limosa.enc<["$c"]>>, tensor<i64>) {{
    %i, %c = limosa.compact %m {{symbol = "$c"} : ({0}) -> (tensor<?x{1}xi64, #limosa.enc<["$c"]>>, tensor<i64>)
    return %i, %c : tensor<?x{1}xi64, #limosa.enc<["$c"]>>, tensor<i64>
  })",
              Shape, Rank),
          {.Seed = Seed, .Template = "compact"});
  // The mask is computed on the way.
  checkKernel(
      R"(func.func private @k(%a: tensor<5x9xf32>, %b: tensor<5x9xf32>) -> tensor<?x2xi64, #limosa.enc<["$c"]>> {
    %m = limosa.compare %a, %b {direction = #limosa.compare<lt>} : (tensor<5x9xf32>, tensor<5x9xf32>) -> tensor<5x9xi1>
    %i, %c = limosa.compact %m {symbol = "$c"} : (tensor<5x9xi1>) -> (tensor<?x2xi64, #limosa.enc<["$c"]>>, tensor<i64>)
    return %i : tensor<?x2xi64, #limosa.enc<["$c"]>>
  })");
}

TEST(RandomBits, IsPhilox) {
  for (const char *Type :
       {"tensor<1xui32>", "tensor<31xui32>", "tensor<3x5000xui32>",
        "tensor<7xui64>", "tensor<64xui64>"})
    checkKernel(replaceAll(R"(func.func private @k(%key: tensor<2xui64>) -> T {
      %r = limosa.random_bits %key : (tensor<2xui64>) -> T
      return %r : T
    })",
                           "T", Type),
                {.Range = 1e18, .Template = "random_bits"});
}

} // namespace
