"""The page, served from debug pipe, for tests."""

from contextlib import contextmanager


@contextmanager
def served(folder, pipe=None):
    """Yields the running `gradio.Blocks`; its files go into `folder`."""
    from audiotoken.debug import debug_pipeline
    from audiotoken.page.launch import serve
    from audiotoken.serving import prepare_gradio

    with environment(GRADIO_TEMP_DIR=str(folder), GRADIO_ANALYTICS_ENABLED="False"):
        prepare_gradio(folder)
        page = serve(pipe or debug_pipeline(), folder)
        try:
            yield page
        finally:
            page.close(verbose=False)


@contextmanager
def environment(**values):
    """These variables for the time being."""
    import os

    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
