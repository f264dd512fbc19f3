# One GPU node: vLLM to serve the models, limo beside it.  This file was written without a machine that builds images: it was
# checked by hadolint and never built, neither the base nor the pip line was run, and the base's version is yours to choose.
#
#   docker build -t limo --build-arg VLLM=vllm/vllm-openai:latest .
#   docker run --gpus all --ipc=host -v $PWD/runs:/work/runs -v ~/.cache/huggingface:/root/.cache/huggingface -it limo
#   vllm serve Qwen/Qwen2.5-7B-Instruct --port 8001 &        # inside: a server for each model of the recipe
#   limo curate runs/mine.yaml --run runs/mine
#
# The base brings torch, transformers and CUDA; limo takes those, and pip adds only what is missing.
ARG VLLM=vllm/vllm-openai:latest
FROM ${VLLM}
ENV HF_HUB_DISABLE_TELEMETRY=1 DO_NOT_TRACK=1 VLLM_NO_USAGE_STATS=1 PIP_NO_CACHE_DIR=1
COPY . /src/limo
RUN python3 -m pip install '/src/limo[pool,train,report,view]' && rm -rf /src
WORKDIR /work
ENTRYPOINT []
CMD ["bash"]
