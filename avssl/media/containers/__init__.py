"""What a file tells before anything is decoded: packets, headers, endings, joints, what is missing."""
