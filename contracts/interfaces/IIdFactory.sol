// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title The identity factory as ONCHAINID 2.2.1 has it, for those who call it already (T-REX among them)
/// @dev `linkWallet` is not here: a wallet is linked with its consent only (`proposeLink`, `acceptLink`).
interface IIdFactory {
    event Deployed(address indexed _addr);
    event WalletLinked(address indexed wallet, address indexed identity);
    event WalletUnlinked(address indexed wallet, address indexed identity);
    event TokenLinked(address indexed token, address indexed identity);
    event TokenFactoryAdded(address indexed factory);
    event TokenFactoryRemoved(address indexed factory);

    error EmptySalt();
    error SaltTaken(string salt);
    error EmptyListOfKeys();
    /// @notice The wallet must not be among the managers that are named: it would be one by itself.
    error WalletInManagementKeys();
    error TokenAlreadyLinked(address token);
    error AlreadyAFactory(address factory);
    error NotAFactory(address factory);
    error OnlyFactoryOrOwnerCanCall();

    /// @notice Makes the identity of `_wallet`, which is its first manager, and links them. Only the owner. Its address depends on both.
    function createIdentity(address _wallet, string calldata _salt) external returns (address);

    /// @notice The same, managed by `_managementKeys` and not by the wallet. Only the owner.
    function createIdentityWithManagementKeys(
        address _wallet,
        string calldata _salt,
        bytes32[] calldata _managementKeys
    ) external returns (address);

    /// @notice Makes the identity of a token, managed by `_tokenOwner`. The owner or a token factory.
    function createTokenIdentity(address _token, address _tokenOwner, string calldata _salt) external returns (address);

    /// @notice Lets a contract, as T-REX's factory, make token identities. Only the owner.
    function addTokenFactory(address _factory) external;

    function removeTokenFactory(address _factory) external;

    function unlinkWallet(address _oldWallet) external;

    /// @notice The identity of a wallet or a token; the zero address if there is none.
    function getIdentity(address _wallet) external view returns (address);

    function getWallets(address _identity) external view returns (address[] memory);

    /// @notice The token whose identity this is.
    function getToken(address _identity) external view returns (address);

    function isTokenFactory(address _factory) external view returns (bool);

    /// @notice Salts carry a prefix: "OID" of a wallet's identity, "Token" of a token's.
    function isSaltTaken(string calldata _salt) external view returns (bool);

    /// @notice This contract itself, which answers `getImplementation()`; what it answers never changes.
    function implementationAuthority() external view returns (address);
}
