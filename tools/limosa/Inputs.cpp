//===- Inputs.cpp - What a model is fed with ------------------------------===//

#include "Inputs.h"
#include "Arrays.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fmt/core.h>
#include <random>

using namespace limosa;
using namespace limosa::tool;
using runtime::invalidArgument;

void InputOptions::addTo(CLI::App &Command) {
  Command
      .add_option("-i,--input", Inputs,
                  "NAME=file.npy, NAME=file.npz, file.npz or .safetensors with "
                  "an array per input, NAME=file.json with lists of strings, "
                  "NAME=random or NAME=random:LOW:HIGH; default: random")
      ->take_all();
  Command
      .add_option("--size", Sizes,
                  "value of a symbolic dimension, e.g. batch=4, for random "
                  "inputs")
      ->take_all();
  Command.add_option("--seed", Seed, "seed of random inputs")
      ->capture_default_str();
}

namespace {

/// Works the values out: first files, then sizes, then random ones.
class InputMaker {
public:
  InputMaker(const InputOptions &Options,
             const std::vector<ArgumentInfo> &Arguments)
      : Options(Options), Arguments(Arguments), Values(Arguments.size()),
        Specs(Arguments.size(), "random") {}

  Status make(std::vector<NamedTensor> &Out,
              std::vector<std::string> &Assumed) {
    for (const std::string &Text : Options.Inputs)
      if (Status S = readInput(Text))
        return S;
    for (const std::string &Text : Options.Sizes)
      if (Status S = readSize(Text))
        return S;
    for (size_t I = 0; I < Arguments.size(); ++I)
      if (Status S = bindSizes(I))
        return S;
    for (size_t I = 0; I < Arguments.size(); ++I) {
      if (!given(I))
        if (Status S = makeRandom(I, Assumed))
          return S;
      Out.push_back({Arguments[I].Name, std::move(Values[I])});
    }
    return {};
  }

private:
  bool given(size_t I) const { return Values[I].type() != DType::Invalid; }

  Status find(const std::string &Name, size_t &Index) const {
    std::string Names;
    for (Index = 0; Index < Arguments.size(); ++Index) {
      if (Arguments[Index].Name == Name)
        return {};
      Names += (Index ? ", " : "") + Arguments[Index].Name;
    }
    return invalidArgument(fmt::format(
        "the model has no input '{}'; its inputs are: {}", Name, Names));
  }

  Status readInput(const std::string &Text) {
    size_t Equals = Text.find('=');
    std::string Name = Equals == Text.npos ? "" : Text.substr(0, Equals);
    std::string Source = Equals == Text.npos ? Text : Text.substr(Equals + 1);
    if (Source.starts_with("random")) {
      size_t Index;
      if (Status S = find(Name, Index))
        return S;
      Specs[Index] = Source;
      return {};
    }
    std::vector<NamedTensor> Arrays;
    if (Status S = readArrays(Source, Arrays))
      return S;
    if (!Name.empty()) {
      for (NamedTensor &Array : Arrays)
        if (Arrays.size() == 1 || Array.Name == Name)
          return take(Name, std::move(Array.Value));
      return invalidArgument(
          fmt::format("{} has no array called '{}'", Source, Name));
    }
    if (Arrays.size() == 1 && Arrays[0].Name.empty()) {
      if (Arguments.size() != 1)
        return invalidArgument(fmt::format(
            "say which input {} is for: --input NAME={}", Source, Source));
      return take(Arguments[0].Name, std::move(Arrays[0].Value));
    }
    for (NamedTensor &Array : Arrays)
      if (Status S = take(Array.Name, std::move(Array.Value)))
        return S;
    return {};
  }

  Status take(const std::string &Name, HostTensor Value) {
    size_t Index;
    if (Status S = find(Name, Index))
      return S;
    const ArgumentInfo &Info = Arguments[Index];
    if (Value.type() != Info.Type || Value.dims().size() != Info.Dims.size())
      return invalidArgument(
          fmt::format("input '{}' is {}, but the array given is {}", Name,
                      Info.text(), describe(Value.type(), Value.dims())));
    Values[Index] = std::move(Value);
    return {};
  }

  Status readSize(const std::string &Text) {
    size_t Equals = Text.find('=');
    char *End = nullptr;
    int64_t Value = Equals == Text.npos
                        ? -1
                        : std::strtoll(Text.c_str() + Equals + 1, &End, 10);
    if (Value < 0 || *End)
      return invalidArgument("--size takes NAME=NUMBER, not '" + Text + "'");
    std::string Name = Text.substr(0, Equals);
    for (const ArgumentInfo &Info : Arguments)
      for (const std::string &Dim : Info.Dims)
        if (Dim == Name) {
          Symbols[Name] = Value;
          return {};
        }
    std::string Names;
    for (const ArgumentInfo &Info : Arguments)
      Names += fmt::format("{}{} {}", Names.empty() ? "" : "; ", Info.Name,
                           Info.text());
    return invalidArgument(fmt::format(
        "no input has a dimension called '{}'; they are: {}", Name, Names));
  }

  /// Learns symbols from an array; conflicts are told by the runtime.
  Status bindSizes(size_t I) {
    if (given(I))
      for (size_t D = 0; D < Arguments[I].Dims.size(); ++D)
        Symbols.try_emplace(Arguments[I].Dims[D], Values[I].dims()[D]);
    return {};
  }

  Status makeRandom(size_t I, std::vector<std::string> &Assumed) {
    const ArgumentInfo &Info = Arguments[I];
    std::vector<int64_t> Dims;
    for (size_t D = 0; D < Info.Dims.size(); ++D) {
      const std::string &Dim = Info.Dims[D];
      std::optional<int64_t> Value = evaluate(Dim, Symbols);
      if (!Value) {
        // Rows one by one; pictures and sequences of a usual size.
        Value = D == 0 ? 1 : Info.Dims.size() == 4 ? 224 : 64;
        Symbols[Dim] = *Value;
        Assumed.push_back(fmt::format("{}={}", Dim, *Value));
      }
      Dims.push_back(*Value);
    }
    return randomTensor(Info.Type, Dims, Specs[I], Options.Seed + I, Values[I]);
  }

  const InputOptions &Options;
  const std::vector<ArgumentInfo> &Arguments;
  std::vector<HostTensor> Values;
  std::vector<std::string> Specs;
  SymbolValues Symbols;
};

} // namespace

Status tool::makeInputs(const InputOptions &Options,
                        const std::vector<ArgumentInfo> &Arguments,
                        std::vector<NamedTensor> &Values,
                        std::vector<std::string> &Assumed) {
  return InputMaker(Options, Arguments).make(Values, Assumed);
}

Status tool::blameSizes(Status S, const std::vector<std::string> &Assumed) {
  if (!S || Assumed.empty())
    return S;
  return {S.code(),
          fmt::format("{} (random inputs with {}; give others with --size "
                      "or --input)",
                      S.message(), fmt::join(Assumed, ", "))};
}

Status tool::randomTensor(DType Type, const std::vector<int64_t> &Dims,
                          const std::string &Spec, uint64_t Seed,
                          HostTensor &Out) {
  double Low = 0, High = 0;
  bool Range = Spec != "random";
  int Read = 0;
  if (Range &&
      (std::sscanf(Spec.c_str(), "random:%lf:%lf%n", &Low, &High, &Read) != 2 ||
       size_t(Read) != Spec.size() || !(Low < High)))
    return invalidArgument("write random or random:LOW:HIGH, not '" + Spec +
                           "'");
  if (dtypeBits(Type) < 8 || (isFloat(Type) && dtypeBits(Type) < 16))
    return {LIMOSA_STATUS_UNSUPPORTED,
            "random " + std::string(dtypeName(Type)) +
                " values are not supported; give a file"};
  if (Range && Type == DType::String)
    return invalidArgument("random strings have no range");
  if (Status S = HostTensor::make(Type, Dims, Out))
    return S;
  std::mt19937_64 Engine(Seed);
  if (Type == DType::String) {
    // Words, some of them more than once.
    for (int64_t I = 0, E = Out.elements(); I < E; ++I) {
      std::string Word;
      for (uint64_t Letters = 1 + Engine() % 4; Letters > 0; --Letters)
        Word += char('a' + Engine() % 8);
      Out.setText(I, Word);
    }
    return {};
  }
  std::normal_distribution<double> Normal;
  std::uniform_real_distribution<double> Uniform(Low, High);
  std::uniform_int_distribution<int64_t> Integer(
      Range ? int64_t(Low) : 0,
      Range ? std::max(int64_t(Low), int64_t(High) - 1) : 1);
  // Drawing is slow: large arrays repeat what was drawn, out of step with any
  // likely dimension.
  constexpr int64_t Period = 1000003;
  const int64_t Drawn = std::min(Out.elements(), Period);
  for (int64_t I = 0; I < Drawn; ++I)
    Out.set(I, !isFloat(Type) ? double(Integer(Engine))
               : Range        ? Uniform(Engine)
                              : Normal(Engine));
  const uint64_t Filled = uint64_t(dtypeBytes(Type, Drawn));
  for (uint64_t At = Filled; At < Out.bytes(); At += Filled)
    std::memcpy(Out.data() + At, Out.data(),
                std::min(Filled, Out.bytes() - At));
  return {};
}
