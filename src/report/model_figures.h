#pragma once

// Figures of models in weight space: how alike they are, where they lie in a plane, losses between
// three of them. Numbers that are not finite are left blank.

#include <span>
#include <string>
#include <vector>

#include "report/page.h"

namespace ration::report {

// A square of colours. `values` [n, n], row after row, of models in the order of their names,
// which must differ.
struct Matrix {
  std::string name;  // of the figure
  std::string caption;
  std::string quantity;  // "cosine"
  std::vector<std::string> models;
  std::vector<double> values;
};
Figure matrix_figure(const Matrix& matrix);

struct PlanePoint {
  double x = 0, y = 0;
  std::string model;   // shown where the pointer rests
  std::string colour;  // a word; all of one colour where it is empty
  std::string shape;   // likewise
};
// `colour` and `shape` are the titles of the legends; none for an empty one.
struct Plane {
  std::string name;
  std::string caption;
  std::string colour, shape;
  std::vector<PlanePoint> points;
};
Figure plane_figure(const Plane& plane);

// Losses over the triangle of three models: left, right and top.
struct Triangle {
  std::string name;
  std::string caption;
  std::string quantity;                      // "loss (nats a token)"
  std::vector<std::string> corners;          // 3
  std::vector<std::vector<double>> weights;  // [point, 3], of 0 or more, with sum 1
  std::vector<double> losses;                // of the points
};
Figure triangle_figure(const Triangle& triangle);

// A name for a figure out of any text: what is no letter, digit or '-' becomes '-'.
std::string figure_name(const std::string& text);

}  // namespace ration::report
