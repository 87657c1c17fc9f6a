"""What `make_ocr_project.py` is made of: the story, and one writer for each tool's files."""
