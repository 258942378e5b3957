# Finds utf8proc, which composes and folds Unicode letters: the imported target Utf8Proc::Utf8Proc.
find_path(Utf8Proc_INCLUDE_DIR utf8proc.h)
find_library(Utf8Proc_LIBRARY utf8proc)
mark_as_advanced(Utf8Proc_INCLUDE_DIR Utf8Proc_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Utf8Proc REQUIRED_VARS Utf8Proc_LIBRARY Utf8Proc_INCLUDE_DIR)

if(Utf8Proc_FOUND AND NOT TARGET Utf8Proc::Utf8Proc)
  add_library(Utf8Proc::Utf8Proc INTERFACE IMPORTED)
  target_include_directories(Utf8Proc::Utf8Proc INTERFACE ${Utf8Proc_INCLUDE_DIR})
  target_link_libraries(Utf8Proc::Utf8Proc INTERFACE ${Utf8Proc_LIBRARY})
endif()
