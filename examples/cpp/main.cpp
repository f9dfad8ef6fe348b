// Says what a model takes and gives, and runs it when it takes one f32 tensor:
//   describe_model model.lim [value for every element]
// An .onnx file is compiled first, if the compiler is installed.

#include <limosa/limosa.hpp>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

static void print(const char *Kind,
                  const std::vector<limosa::TensorInfo> &Tensors) {
  for (const limosa::TensorInfo &T : Tensors) {
    std::cout << Kind << " " << T.Name << " [";
    for (size_t D = 0; D < T.Dims.size(); ++D)
      std::cout << (D ? ", " : "") << T.Dims[D];
    std::cout << "]\n";
  }
}

int main(int Count, char **Arguments) {
  if (Count < 2) {
    std::cerr << "usage: describe_model model.lim|model.onnx [value]\n";
    return 2;
  }
  std::string Path = Arguments[1];
  auto Context = limosa::Context::create();
  if (!Context) {
    std::cerr << "error: " << Context.error() << "\n";
    return 1;
  }
  bool Compiled = Path.size() > 4 && Path.substr(Path.size() - 4) == ".lim";
  auto Model = Compiled ? Context->load(Path) : Context->compile(Path);
  if (!Model) {
    std::cerr << "error: " << Model.error() << "\n";
    return 1;
  }
  print("input", Model->inputs());
  print("output", Model->outputs());
  print("state", Model->states());

  auto Inputs = Model->inputs();
  if (Inputs.size() != 1 || Inputs[0].DType != LIMOSA_F32)
    return 0;
  std::vector<int64_t> Dims;
  int64_t Elements = 1;
  for (const std::string &D : Inputs[0].Dims) {
    char *End;
    int64_t Size = std::strtoll(D.c_str(), &End, 10);
    Dims.push_back(*End ? 1 : Size); // symbolic dimensions: 1
    Elements *= Dims.back();
  }
  std::vector<float> Values(size_t(Elements),
                            Count > 2 ? std::stof(Arguments[2]) : 1.0f);
  auto Session = Model->instance();
  if (!Session) {
    std::cerr << "error: " << Session.error() << "\n";
    return 1;
  }
  auto Outputs = Session->run(limosa::Tensor::view(Values, Dims));
  if (!Outputs) {
    std::cerr << "error: " << Outputs.error() << "\n";
    return 1;
  }
  for (const limosa::Tensor &T : *Outputs)
    if (const float *Data = T.data<float>(); Data && T.elements())
      std::cout << "first value " << Data[0] << " of " << T.elements() << "\n";
  return 0;
}
