//===- Libraries.cpp - Finding Limosa's own libraries ---------------------===//

#include "Libraries.h"

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace limosa::runtime;

/// The folder of the library or program this code is in.
static std::string ownFolder() {
  Dl_info Info;
  if (!dladdr(reinterpret_cast<void *>(&libraryPath), &Info) || !Info.dli_fname)
    return "";
  // A program that the shell found on its PATH is known by its bare name.
  const char *Name =
      std::strchr(Info.dli_fname, '/') ? Info.dli_fname : "/proc/self/exe";
  char *Resolved = realpath(Name, nullptr);
  std::string Path = Resolved ? Resolved : Name;
  std::free(Resolved);
  return Path.substr(0, Path.find_last_of('/') + 1);
}

std::string limosa::runtime::libraryPath(const char *Variable,
                                         const std::string &Name) {
  if (const char *Path = std::getenv(Variable); Path && *Path)
    return Path;
  std::string Folder = ownFolder();
  for (const char *Relative : {"", "../lib/", "../lib64/"})
    if (std::string Path = Folder + Relative + Name;
        access(Path.c_str(), R_OK) == 0)
      return Path;
  return Name;
}

std::string limosa::runtime::fileIdentity(const std::string &Path) {
  struct stat Info = {};
  stat(Path.c_str(), &Info);
  return std::to_string(Info.st_size) + ":" +
         std::to_string(Info.st_mtim.tv_sec) + "." +
         std::to_string(Info.st_mtim.tv_nsec);
}
