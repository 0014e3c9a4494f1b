"""The Gradio program of the page Live: pictures, clips, the camera, neighbours, and what each of them shows."""
