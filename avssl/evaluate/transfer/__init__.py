"""An encoder under the head of another task: detection, keypoints, surface normals."""
