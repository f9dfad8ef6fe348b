//===- PassTimer.h - Where compile time goes --------------------*- C++ -*-===//

#ifndef LIMOSA_LIB_DRIVER_PASSTIMER_H
#define LIMOSA_LIB_DRIVER_PASSTIMER_H

#include "limosa/Schema/program_generated.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace limosa {

/// Wall time of each step of one compile, in order.
class PassTimer {
public:
  template <typename Fn> auto time(llvm::StringRef Name, Fn F) {
    Stop S{*this, Name.str(), std::chrono::steady_clock::now()};
    return F();
  }
  /// A step that was timed elsewhere.
  void add(llvm::StringRef Name, double Seconds) {
    auto T = std::make_unique<fb::PassTimeT>();
    T->name = Name.str();
    T->seconds = Seconds;
    Times.push_back(std::move(T));
  }
  std::vector<std::unique_ptr<fb::PassTimeT>> take() {
    return std::move(Times);
  }

private:
  struct Stop {
    PassTimer &Timer;
    std::string Name;
    std::chrono::steady_clock::time_point Begin;
    ~Stop() {
      Timer.add(Name, std::chrono::duration<double>(
                          std::chrono::steady_clock::now() - Begin)
                          .count());
    }
  };
  std::vector<std::unique_ptr<fb::PassTimeT>> Times;
};

} // namespace limosa

#endif // LIMOSA_LIB_DRIVER_PASSTIMER_H
