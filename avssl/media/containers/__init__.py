"""What a file says of itself before anything is decoded: packets, headers, endings, joints, what is missing."""
