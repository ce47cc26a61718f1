// The slider of each run shows the drawing of the genotype of an epoch. Without this script the last one is shown.
for (const section of document.querySelectorAll("[data-packed]")) {
  const slider = section.querySelector(".slider"), input = slider.querySelector("input"), output = slider.querySelector("output");
  const drawing = section.querySelector(".drawing"), epochs = section.dataset.epochs.split(" ");
  let unpacked;
  const unpack = async () => {
    const bytes = Uint8Array.from(atob(section.dataset.packed.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  };
  input.addEventListener("input", async () => {
    output.textContent = "epoch " + epochs[input.value] + " of " + epochs[epochs.length - 1];
    unpacked ??= unpack();
    const frames = await unpacked;
    drawing.innerHTML = frames.svg[frames.at[input.value]];
  });
  slider.hidden = typeof DecompressionStream === "undefined";
}
