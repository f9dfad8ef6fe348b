//===- TilePermission.h - Leave to use AMX ----------------------*- C++ -*-===//
//
// Linux saves the state of AMX only for processes that asked for it.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_SUPPORT_TILEPERMISSION_H
#define LIMOSA_SUPPORT_TILEPERMISSION_H

#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace limosa {

/// Asks the system to let this process, with all its threads, use AMX tiles;
/// false if it refuses. Asking again is harmless.
inline bool mayUseTiles() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr long RequestPermission = 0x1023, TileData = 18;
  return syscall(SYS_arch_prctl, RequestPermission, TileData) == 0;
#else
  return false;
#endif
}

} // namespace limosa

#endif // LIMOSA_SUPPORT_TILEPERMISSION_H
