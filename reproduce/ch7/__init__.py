"""Chapter 7: explanations that are judged, and found, by the robustness of what they show."""
