# Finds libdivsufsort, which sorts suffixes, with its 64-bit variant: the imported target DivSufSort::DivSufSort.
find_path(DivSufSort_INCLUDE_DIR divsufsort64.h)
find_library(DivSufSort_LIBRARY divsufsort)
find_library(DivSufSort_64_LIBRARY divsufsort64)
mark_as_advanced(DivSufSort_INCLUDE_DIR DivSufSort_LIBRARY DivSufSort_64_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DivSufSort
  REQUIRED_VARS DivSufSort_LIBRARY DivSufSort_64_LIBRARY DivSufSort_INCLUDE_DIR)

if(DivSufSort_FOUND AND NOT TARGET DivSufSort::DivSufSort)
  add_library(DivSufSort::DivSufSort INTERFACE IMPORTED)
  target_include_directories(DivSufSort::DivSufSort INTERFACE ${DivSufSort_INCLUDE_DIR})
  target_link_libraries(DivSufSort::DivSufSort INTERFACE ${DivSufSort_LIBRARY} ${DivSufSort_64_LIBRARY})
endif()
