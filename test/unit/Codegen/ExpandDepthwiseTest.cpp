//===- ExpandDepthwiseTest.cpp - Channels expanded and filtered at once ---===//

#include "KernelCheck.h"
#include "limosa/Support/DimExpr.h"

using namespace limosa::test;

namespace {

struct Case {
  int64_t Channels = 24, Expanded = 72, Batch = 1, Height = 40, Width = 40;
  int64_t Window = 3, Stride = 1, Dilation = 1;
  int64_t Low = 1, High = 1; ///< padding
  unsigned Workers = 2;
  bool Symbolic = false; ///< batch, height and width are not known
  /// Between the convolutions: "", "relu6", "silu" or "add" (of an image).
  std::string Act = "relu6";
};

std::string list(int64_t V) {
  return "array<i64: " + std::to_string(V) + ", " + std::to_string(V) + ">";
}
std::string pads(int64_t V) {
  return "[\"" + std::to_string(V) + "\", \"" + std::to_string(V) + "\"]";
}

std::string conv(const Case &C, bool Depthwise) {
  int64_t One = 1;
  auto Only = [&](int64_t V, int64_t Else) { return Depthwise ? V : Else; };
  return " {strides = " + list(Only(C.Stride, One)) +
         ", pad_low = " + pads(Only(C.Low, 0)) +
         ", pad_high = " + pads(Only(C.High, 0)) +
         ", lhs_dilation = " + list(1) +
         ", rhs_dilation = " + list(Only(C.Dilation, One)) +
         ", feature_groups = " + std::to_string(Only(C.Expanded, One)) +
         " : i64, batch_groups = 1 : i64} : ";
}

/// An image's type in channels-last order.
std::string image(const Case &C, int64_t Channels, bool Filtered) {
  auto Out = [&](const limosa::DimExpr &In) {
    int64_t Reach = (C.Window - 1) * C.Dilation + 1;
    return Filtered ? limosa::DimExpr::floorDiv(In + (C.Low + C.High - Reach),
                                                C.Stride) +
                          1
                    : In;
  };
  auto Shape = [&](const std::string &N, const std::string &H,
                   const std::string &W) {
    return "tensor<" + N + "x" + std::to_string(Channels) + "x" + H + "x" + W +
           "xf32, #limosa.enc<[";
  };
  const std::string Order = "], [0, 2, 3, 1]>>";
  if (C.Symbolic)
    return Shape("?", "?", "?") + "\"N\", \"" +
           Out(limosa::DimExpr::symbol("H")).toString() + "\", \"" +
           Out(limosa::DimExpr::symbol("W")).toString() + "\"" + Order;
  return Shape(std::to_string(C.Batch), Out(C.Height).toString(),
               Out(C.Width).toString()) +
         Order;
}

void check(const Case &C) {
  std::string In = image(C, C.Channels, false);
  std::string Wide = image(C, C.Expanded, false);
  std::string Out = image(C, C.Expanded, true);
  std::string E = std::to_string(C.Expanded), W = std::to_string(C.Window);
  std::string W1 = "tensor<" + E + "x" + std::to_string(C.Channels) +
                   "x1x1xf32>",
              W2 = "tensor<" + E + "x1x" + W + "x" + W + "xf32>",
              Bias = "tensor<" + E + "xf32>";
  std::string Text = "func.func private @k(%x: " + In + ", %w1: " + W1 +
                     " {limosa.constant}, %b1: " + Bias +
                     " {limosa.constant}, %w2: " + W2 +
                     " {limosa.constant}, %b2: " + Bias + " {limosa.constant}";
  if (C.Act == "add")
    Text += ", %r: " + Wide;
  Text += ") -> " + Out + " attributes {limosa.kernel} {\n";
  auto Line = [&](const std::string &To, const std::string &Op,
                  const std::string &Of, const std::string &Type) {
    std::string From = Type;
    if (Of.find(',') != std::string::npos)
      From += ", " + Type;
    Text += To + " = limosa." + Op + " " + Of + " : (" + From + ") -> " + Type +
            "\n";
  };
  auto Spread = [&](const std::string &To, const std::string &Of,
                    const std::string &Type, const std::string &Small,
                    const std::string &Dims) {
    Text += To + " = limosa.broadcast " + Of + " {dims = array<i64" + Dims +
            ">} : (" + Small + ") -> " + Type + "\n";
  };
  Text += "%e = limosa.conv %x, %w1" + conv(C, false) + "(" + In + ", " + W1 +
          ") -> " + Wide + "\n";
  std::string Last = "%e";
  if (!C.Act.empty()) {
    Spread("%s1", "%b1", Wide, Bias, ": 1");
    Line("%e1", "add", "%e, %s1", Wide);
    Last = "%e1";
  }
  if (C.Act == "relu6") {
    Text += "%zero = limosa.constant dense<0.0> : tensor<f32>\n"
            "%six = limosa.constant dense<6.0> : tensor<f32>\n";
    Spread("%low", "%zero", Wide, "tensor<f32>", "");
    Spread("%high", "%six", Wide, "tensor<f32>", "");
    Line("%e2", "max", "%e1, %low", Wide);
    Line("%e3", "min", "%e2, %high", Wide);
    Last = "%e3";
  } else if (C.Act == "silu") {
    Text += "%c = limosa.constant dense<1.0> : tensor<f32>\n";
    Spread("%one", "%c", Wide, "tensor<f32>", "");
    Line("%n", "neg", "%e1", Wide);
    Line("%p", "exp", "%n", Wide);
    Line("%d", "add", "%p, %one", Wide);
    Line("%e2", "div", "%e1, %d", Wide);
    Last = "%e2";
  } else if (C.Act == "add") {
    Line("%e2", "add", "%e1, %r", Wide);
    Last = "%e2";
  }
  Text += "%f = limosa.conv " + Last + ", %w2" + conv(C, true) + "(" + Wide +
          ", " + W2 + ") -> " + Out + "\n";
  Spread("%s2", "%b2", Out, Bias, ": 1");
  Line("%y", "add", "%f, %s2", Out);
  Text += "return %y : " + Out + "\n}\n";

  KernelCheck Check;
  Check.Template = "expand-depthwise";
  Check.Workers = C.Workers;
  Check.Tolerance = 1e-4;
  Check.Range = 1.0;
  if (C.Symbolic)
    Check.Symbols = {{"N", C.Batch}, {"H", C.Height}, {"W", C.Width}};
  SCOPED_TRACE(Text);
  checkKernel(Text, Check);
}

TEST(ExpandDepthwise, Channels) {
  for (int64_t Channels : {3, 24, 40})
    for (int64_t Expanded : {50, 72, 144}) {
      Case C;
      C.Channels = Channels;
      C.Expanded = Expanded;
      check(C);
    }
}

TEST(ExpandDepthwise, Windows) {
  for (int64_t Window : {3, 5, 7})
    for (int64_t Stride : {1, 2, 3})
      for (int64_t Dilation : {1, 2}) {
        Case C;
        C.Window = Window;
        C.Stride = Stride;
        C.Dilation = Dilation;
        C.Low = C.High = Window / 2 * Dilation;
        C.Height = 41;
        C.Expanded = 40;
        check(C);
      }
}

TEST(ExpandDepthwise, StridesWiderThanWindows) {
  Case C;
  C.Window = 2;
  C.Stride = 3;
  C.Low = C.High = 0;
  check(C);
}

TEST(ExpandDepthwise, BandsOfLargeImages) {
  Case C;
  C.Channels = 8;
  C.Expanded = 48;
  C.Height = 90;
  C.Width = 130;
  for (int64_t Stride : {1, 2})
    for (unsigned Workers : {1, 2, 3}) {
      C.Stride = Stride;
      C.Workers = Workers;
      check(C);
    }
}

TEST(ExpandDepthwise, Padding) {
  Case C;
  C.Low = 0;
  C.High = 2;
  check(C);
  C.Low = 4; // windows that meet no line
  C.High = 5;
  check(C);
  C.Low = -3;
  C.High = -1;
  check(C);
}

TEST(ExpandDepthwise, Batches) {
  Case C;
  C.Batch = 3;
  C.Height = C.Width = 21;
  C.Expanded = 50;
  check(C);
  // Many images smaller than a window.
  C.Batch = 400;
  C.Height = C.Width = 2;
  C.Window = 5;
  C.Low = C.High = 2;
  check(C);
}

TEST(ExpandDepthwise, SizesThatAreNotKnown) {
  for (int64_t Height : {1, 7, 33})
    for (int64_t Width : {2, 40})
      for (int64_t Stride : {1, 2}) {
        Case C;
        C.Symbolic = true;
        C.Batch = 2;
        C.Height = Height;
        C.Width = Width;
        C.Stride = Stride;
        C.Expanded = 40;
        check(C);
      }
}

TEST(ExpandDepthwise, WhatIsBetween) {
  for (const char *Act : {"", "silu", "add"}) {
    Case C;
    C.Act = Act;
    check(C);
  }
}

} // namespace
