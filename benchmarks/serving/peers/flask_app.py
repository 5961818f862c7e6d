"""What tutorials do: Flask, the .h5, and `model.predict`. Usage: flask_app.py MODEL.h5 PORT"""

import io
import sys

import keras
import numpy as np
from flask import Flask, request
from PIL import Image

app = Flask(__name__)
model = keras.models.load_model(sys.argv[1], compile=False)


@app.get("/readyz")
def ready():
    return "ready"


@app.post("/predict")
def predict():
    image = Image.open(io.BytesIO(request.files["file"].read())).convert("L").resize((224, 224))
    batch = np.asarray(image, np.float32)[None, ..., None] / 255
    outputs = model.predict(batch, verbose=0)
    first = outputs[0] if isinstance(outputs, list) else outputs
    probability = float(np.ravel(first)[0])
    label = "PNEUMONIA" if probability >= 0.5 else "NORMAL"
    return {"label": label, "probability": probability}


if __name__ == "__main__":
    app.run(port=int(sys.argv[2]), threaded=True)
